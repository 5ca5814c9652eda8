/*
 * What a part of the trainer must keep so that training goes on after a restart with the same bits: named float arrays,
 * which the checkpoint writes from and reads back into, and counters, which have their own calls.
 *
 *     const struct sb_state_array *arrays;
 *     size_t count = sb_optimizer_state(optimizer, &arrays);
 *     for (size_t i = 0; i < count; i++)
 *         write(arrays[i].name, arrays[i].values, arrays[i].count);
 */
#ifndef SB_TRAINING_STATE_H
#define SB_TRAINING_STATE_H

#include <stddef.h>

struct sb_state_array {
    const char *name; /* unique among all parts: "adam.m"; lives as long as the program */
    float *values;    /* [count], owned by the part */
    size_t count;     /* a function of the options and of the parameters' layout; never 0 */
};

#endif
