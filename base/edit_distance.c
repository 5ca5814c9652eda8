#include "base/edit_distance.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t sb_edit_distance(const int32_t *a, size_t n, const int32_t *b, size_t m, size_t *row)
{
    for (; n > 0 && m > 0 && a[n - 1] == b[m - 1]; n--)
        m--;
    for (; n > 0 && m > 0 && *a == *b; n--, m--)
        a++, b++;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    /* row[j]: the distance of a[0, i) to b[0, j); diagonal: that of a[0, i - 1) to b[0, j - 1). */
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t substitution = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smaller(substitution, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[m];
}
