/*
 * What the routes of collections share: filters, the model of a collection, sentences as JSON.
 *
 *     struct sb_filter *filter = NULL;
 *     if (!sb_parse_filter(&parse, "filter", &filter)) ...          // NULL when the request has none
 *     search.keep = sb_filter_keep_of(filter);
 *     search.keep_context = filter;
 */
#ifndef SB_SERVER_COLLECTION_REQUEST_H
#define SB_SERVER_COLLECTION_REQUEST_H

#include "retrieval/filter.h"
#include "retrieval/reembed.h"
#include "retrieval/store.h"
#include "server/embedding.h"
#include "server/parse.h"

/* A missing filter leaves *filter untouched. The caller frees it. */
SB_MUST_CHECK bool sb_parse_filter(struct sb_parse *parse, const char *key, struct sb_filter **filter);

/* The same of the address: ?filter= and the filter's JSON. */
SB_MUST_CHECK enum sb_status sb_request_query_filter(struct sb_request *request, struct sb_filter **filter,
                                                     struct sb_error *error);

/* What a store's search takes as keep, with the filter as its context; NULL for NULL. */
typedef bool (*sb_keep)(void *context, const struct sb_sentence *sentence);
sb_keep sb_filter_keep_of(const struct sb_filter *filter);

/* The collection that the path names. False: the request has been answered. */
SB_MUST_CHECK bool sb_request_collection(struct sb_request *request, struct sb_collection_info *info);

/* A sentence with its vector of so many dimensions; SB_CONFLICT if the collection has changed to a model of others. */
SB_MUST_CHECK enum sb_status sb_get_vector(struct sb_request *request, const char *id, size_t dimensions,
                                           struct sb_sentences *found, struct sb_error *error);

/* The loaded model whose vectors the collection holds, with a reference; NULL: the request has been answered. */
struct sb_model *sb_collection_model(struct sb_request *request);

/* Reads {"id", "text", "metadata"}; messages call it `name` ("sentence 3"). id and text are borrowed from item,
   metadata is freed with sb_sentence_clear. */
SB_MUST_CHECK bool sb_parse_sentence(struct sb_parse *parse, const cJSON *item, const char *name,
                                     struct sb_sentence *sentence);
void sb_sentence_clear(struct sb_sentence *sentence);

/* Brings all vectors to length 1, whatever the model does: a dot product of stored vectors is a cosine. */
void sb_embedding_normalize(struct sb_embedding *embedding);

/* "id":…,"text":…,"metadata":…: the members of a sentence's object, without its braces. */
void sb_put_sentence(struct sb_buffer *body, const struct sb_sentence *sentence);
/* {"state":…}: how far a collection has been embedded anew. */
void sb_put_reembedding(struct sb_buffer *body, const struct sb_reembed_progress *progress);
/* "usage":{…} of so many tokens. */
void sb_put_usage(struct sb_buffer *body, size_t tokens);

#endif
