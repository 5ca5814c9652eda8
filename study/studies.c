/* The table of studies. */
#include "base/nearest.h"
#include "study/study.h"

#include <string.h>

extern const struct sb_study sb_study_optimizers, sb_study_exposure_bias, sb_study_adversarial, sb_study_initialisation,
    sb_study_batch_normalisation, sb_study_attention_variants;

const struct sb_study *const sb_studies[] = {
    &sb_study_optimizers,
    &sb_study_exposure_bias,
    &sb_study_adversarial,
    &sb_study_initialisation,
    &sb_study_batch_normalisation,
    &sb_study_attention_variants,
    NULL,
};

enum sb_status sb_study_find(const struct sb_study **study, const char *name, struct sb_error *error)
{
    struct sb_nearest nearest = {.typed = name};
    for (size_t i = 0; sb_studies[i]; i++) {
        *study = sb_studies[i];
        if (strcmp(sb_studies[i]->name, name) == 0)
            return SB_OK;
        sb_nearest_offer(&nearest, sb_studies[i]->name);
    }
    *study = NULL;
    if (nearest.name)
        return sb_fail(error, SB_NOT_FOUND, "there is no study \"%s\"; did you mean %s?", name, nearest.name);
    return sb_fail(error, SB_NOT_FOUND, "there is no study \"%s\"; \"simbert study\" lists them", name);
}
