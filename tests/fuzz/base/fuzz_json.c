/* Whatever sb_json_parse accepts, cJSON reads, prints and reads again to the same text. */
#include "base/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *json, *again;
    enum sb_status status = sb_json_parse(&json, (const char *)data, size, NULL);
    if (status == SB_INVALID)
        return 0;
    if (status != SB_OK) /* the check let something pass that cJSON refuses */
        abort();
    char *printed = cJSON_PrintUnformatted(json);
    if (!printed || sb_json_parse(&again, printed, strlen(printed), NULL) != SB_OK)
        abort();
    char *printed_again = cJSON_PrintUnformatted(again);
    if (!printed_again || strcmp(printed, printed_again) != 0)
        abort();
    free(printed);
    free(printed_again);
    cJSON_Delete(json);
    cJSON_Delete(again);
    return 0;
}
