/* The handlers that the route table names. Each is called with its request once; see server/request.h. */
#ifndef SB_SERVER_ROUTES_H
#define SB_SERVER_ROUTES_H

#include "server/request.h"

/* routes_openai.c */
void sb_handle_embeddings(struct sb_request *request);

/* routes_models.c */
void sb_handle_models(struct sb_request *request);
void sb_handle_model(struct sb_request *request);
void sb_handle_model_delete(struct sb_request *request);
void sb_handle_model_aliases(struct sb_request *request);
void sb_handle_model_alias(struct sb_request *request);
void sb_handle_model_alias_set(struct sb_request *request);
void sb_handle_model_alias_delete(struct sb_request *request);

/* routes_files.c */
void sb_handle_file_upload(struct sb_request *request);
void sb_handle_files(struct sb_request *request);
void sb_handle_file(struct sb_request *request);
void sb_handle_file_content(struct sb_request *request);
void sb_handle_file_delete(struct sb_request *request);

/* routes_finetuning.c, routes_finetuning_create.c */
void sb_handle_job_create(struct sb_request *request);
void sb_handle_jobs(struct sb_request *request);
void sb_handle_job(struct sb_request *request);
void sb_handle_job_cancel(struct sb_request *request);
void sb_handle_job_pause(struct sb_request *request);
void sb_handle_job_resume(struct sb_request *request);
void sb_handle_job_events(struct sb_request *request);
void sb_handle_job_checkpoints(struct sb_request *request);

/* routes_tei.c */
void sb_handle_embed(struct sb_request *request);
void sb_handle_similarity(struct sb_request *request);
void sb_handle_tokenize(struct sb_request *request);
void sb_handle_decode(struct sb_request *request);

/* routes_rerank.c */
void sb_handle_rerank(struct sb_request *request);
void sb_handle_cohere_rerank(struct sb_request *request);

/* routes_paraphrase.c */
void sb_handle_paraphrases(struct sb_request *request);
void sb_handle_gen_synonyms(struct sb_request *request);

/* routes_collections.c, routes_aliases.c, routes_sentences.c, routes_upsert.c, routes_similar.c, routes_import.c,
   routes_export.c, routes_reembed.c, routes_duplicates.c, routes_clusters.c, routes_coverage.c */
void sb_handle_collection_create(struct sb_request *request);
void sb_handle_collection_describe(struct sb_request *request);
void sb_handle_collection_drop(struct sb_request *request);
void sb_handle_collection_list(struct sb_request *request);
void sb_handle_sentences_count(struct sb_request *request);
void sb_handle_sentences_upsert(struct sb_request *request);
void sb_handle_sentences_scroll(struct sb_request *request);
void sb_handle_sentences_delete(struct sb_request *request);
void sb_handle_sentence_get(struct sb_request *request);
void sb_handle_sentence_delete(struct sb_request *request);
void sb_handle_similar(struct sb_request *request);
void sb_handle_reembed(struct sb_request *request);
void sb_handle_reembed_progress(struct sb_request *request);
void sb_handle_reembed_cancel(struct sb_request *request);
void sb_handle_import_piece(struct sb_request *request);
void sb_handle_import(struct sb_request *request);
void sb_handle_export(struct sb_request *request);
void sb_handle_duplicates(struct sb_request *request);
void sb_handle_clusters(struct sb_request *request);
void sb_handle_coverage(struct sb_request *request);
void sb_handle_alias_list(struct sb_request *request);
void sb_handle_alias_set(struct sb_request *request);
void sb_handle_alias_delete(struct sb_request *request);

/* routes_ops.c */
void sb_handle_health(struct sb_request *request);
void sb_handle_info(struct sb_request *request);
void sb_handle_metrics(struct sb_request *request);
void sb_handle_docs(struct sb_request *request);
void sb_handle_openapi(struct sb_request *request);

#endif
