/* The head of [u; v; |u - v|] in a checkpoint (weights/config.h, enum sb_pair_head). */
#ifndef SB_WEIGHTS_PAIR_HEAD_IMPL_H
#define SB_WEIGHTS_PAIR_HEAD_IMPL_H

#include "weights/weights.h"

/* The head that the config speaks of, for vectors of so many dimensions; head->data stays NULL if it speaks of none.
   SB_CORRUPT: it is missing, or of another shape. */
SB_MUST_CHECK enum sb_status sb_pair_head_find(struct sb_param *head, const struct sb_checkpoint *checkpoint,
                                               const struct sb_config *config, size_t dimensions, const char *dir,
                                               struct sb_error *error);

#endif
