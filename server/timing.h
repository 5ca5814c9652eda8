/* Where a request's time went, and how much it was: response headers and metrics. */
#ifndef SB_SERVER_TIMING_H
#define SB_SERVER_TIMING_H

#include <stdint.h>

struct sb_timing {
    int64_t tokenization_ns;
    int64_t queue_ns;     /* until the first pass of the first part */
    int64_t inference_ns; /* from there to the end of the last part */
    int64_t tokens, characters;
};

#endif
