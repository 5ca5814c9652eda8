/*
 * Collections whose model has changed are embedded anew in the background, one thread for all of them: through the
 * scheduler, a few sentences at a time, and with pauses while others need it. Until a collection is done its old
 * vectors answer (retrieval/reembed.h); after a restart it goes on where it stopped.
 *
 *     struct sb_reembedding *reembedding;
 *     sb_reembedding_new(&reembedding, server, &error);
 *     sb_reembedding_wake(reembedding);                  // something may be to do
 *     sb_reembedding_free(reembedding);                  // before the scheduler ends
 *
 * A collection is embedded anew when the model that its model's name stands for has other weights than made its
 * vectors, or when a request asks for another model.
 *
 * Thread rule: wake from any thread.
 */
#ifndef SB_SERVER_REEMBEDDING_H
#define SB_SERVER_REEMBEDDING_H

#include "base/status.h"

struct sb_server;
struct sb_reembedding;

SB_MUST_CHECK enum sb_status sb_reembedding_new(struct sb_reembedding **reembedding, struct sb_server *server,
                                                struct sb_error *error);
void sb_reembedding_wake(struct sb_reembedding *reembedding); /* NULL is fine */
void sb_reembedding_free(struct sb_reembedding *reembedding); /* NULL is fine */

#endif
