/* The table of the store over SQLite. */
#include "retrieval/sqlite.h"

const struct sb_store_engine sb_sqlite_engine = {
    .close = sb_sqlite_close,
    .create = sb_sqlite_create,
    .describe = sb_sqlite_describe,
    .list = sb_sqlite_list,
    .drop = sb_sqlite_drop,
    .alias_set = sb_sqlite_alias_set,
    .alias_delete = sb_sqlite_alias_delete,
    .alias_list = sb_sqlite_alias_list,
    .upsert = sb_sqlite_upsert,
    .get = sb_sqlite_get,
    .scroll = sb_sqlite_scroll,
    .visit = sb_sqlite_visit,
    .remove = sb_sqlite_delete,
    .search = sb_sqlite_search,
    .search_text = sb_sqlite_search_text,
    .set_approximate_from = sb_sqlite_set_approximate_from,
    .search_stats = sb_sqlite_search_stats,
    .reembed_begin = sb_sqlite_reembed_begin,
    .reembed_cancel = sb_sqlite_reembed_cancel,
    .reembed_progress = sb_sqlite_reembed_progress,
    .reembed_step = sb_sqlite_reembed_step,
};
