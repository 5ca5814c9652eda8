#include "model/attention/scorers.h"

void sb_relu_prepare(const struct sb_attention_plan *plan, float *columns, size_t position)
{
    (void)position;
    for (size_t i = 0; i < plan->value_width; i++)
        columns[i] = columns[i] > 0 ? columns[i] : 0;
}

void sb_relu_prepare_backward(const struct sb_attention_plan *plan, float *dcolumns, const float *columns,
                              size_t position)
{
    (void)position;
    for (size_t i = 0; i < plan->value_width; i++)
        dcolumns[i] = columns[i] > 0 ? dcolumns[i] : 0;
}
