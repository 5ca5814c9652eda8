/* Whole folders: moved so that a crash leaves them in the one place or the other, and removed with all that is in them. */
#ifndef SB_BASE_FOLDER_H
#define SB_BASE_FOLDER_H

#include "base/status.h"

/* Within one file system; `to` must not exist. Its contents, their names and both parents are synced. */
SB_MUST_CHECK enum sb_status sb_folder_move(const char *from, const char *to, struct sb_error *error);
/* What is not there is fine. Links are removed, not followed. */
SB_MUST_CHECK enum sb_status sb_folder_remove(const char *path, struct sb_error *error);

#endif
