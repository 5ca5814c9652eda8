#include "base/json.h"

#include "base/file.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * The check that runs before cJSON, which is lenient (control characters as white space, "01", raw newlines in strings)
 * and says little about what was wrong. A scanner moves `at` over one construct; the first problem is kept.
 */
struct scanner {
    const char *text;
    size_t size, at;
    size_t bad;          /* offset of the first problem */
    const char *problem; /* NULL: none so far */
};

/* cJSON 1.7.15 copies a number into 64 bytes and cuts it there. */
enum { NUMBER_MAX = 63 };

static bool refuse(struct scanner *s, size_t at, const char *problem)
{
    s->bad = at;
    s->problem = problem;
    return false;
}

static char peek(const struct scanner *s)
{
    return s->at < s->size ? s->text[s->at] : '\0';
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->size && memchr(" \t\r\n", s->text[s->at], 4))
        s->at++;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_digits(struct scanner *s)
{
    while (is_digit(peek(s)))
        s->at++;
}

static bool scan_number(struct scanner *s)
{
    size_t start = s->at;
    if (peek(s) == '-')
        s->at++;
    if (!is_digit(peek(s)))
        return refuse(s, s->at, "a digit is missing");
    if (peek(s) == '0' && s->at + 1 < s->size && is_digit(s->text[s->at + 1]))
        return refuse(s, s->at, "a number begins with 0");
    skip_digits(s);
    if (peek(s) == '.') {
        s->at++;
        if (!is_digit(peek(s)))
            return refuse(s, s->at, "a digit is missing");
        skip_digits(s);
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!is_digit(peek(s)))
            return refuse(s, s->at, "a digit is missing");
        skip_digits(s);
    }
    char digits[NUMBER_MAX + 1];
    size_t length = s->at - start;
    if (length > NUMBER_MAX)
        return refuse(s, start, "a number is longer than 63 characters");
    memcpy(digits, s->text + start, length);
    digits[length] = '\0';
    return isfinite(strtod(digits, NULL)) || refuse(s, start, "a number is too large");
}

/* Reads the four hexadecimal digits of \uXXXX at `at`; -1 if they are not there. */
static int32_t hex4(const struct scanner *s, size_t at)
{
    if (s->size - at < 4)
        return -1;
    int32_t value = 0;
    for (size_t i = at; i < at + 4; i++) {
        char c = s->text[i];
        int digit = is_digit(c)            ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool scan_escape(struct scanner *s)
{
    size_t start = s->at++;
    char c = peek(s);
    if (c != 'u') {
        if (c == '\0' || !strchr("\"\\/bfnrt", c))
            return refuse(s, start, "an unknown escape in a string");
        s->at++;
        return true;
    }
    int32_t first = hex4(s, s->at + 1);
    if (first < 0)
        return refuse(s, start, "\\u needs four hexadecimal digits");
    if (first == 0)
        return refuse(s, start, "a NUL character (\\u0000) in a string");
    s->at += 5;
    if (first < 0xD800 || first > 0xDFFF)
        return true;
    bool pair = first < 0xDC00 && s->size - s->at >= 6 && s->text[s->at] == '\\' && s->text[s->at + 1] == 'u';
    int32_t second = pair ? hex4(s, s->at + 2) : -1;
    if (second < 0xDC00 || second > 0xDFFF)
        return refuse(s, start, "half a surrogate pair in a string");
    s->at += 6;
    return true;
}

static bool scan_string(struct scanner *s)
{
    size_t start = s->at++;
    while (s->at < s->size) {
        unsigned char c = (unsigned char)s->text[s->at];
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return refuse(s, s->at, "a control character in a string");
        if (c != '\\')
            s->at++;
        else if (!scan_escape(s))
            return false;
    }
    return refuse(s, start, "a string has no end");
}

static bool scan_word(struct scanner *s, const char *word)
{
    size_t length = strlen(word);
    if (s->size - s->at < length || memcmp(s->text + s->at, word, length) != 0)
        return refuse(s, s->at, "a value is missing");
    s->at += length;
    return true;
}

static bool scan_scalar(struct scanner *s)
{
    switch (peek(s)) {
    case '"': return scan_string(s);
    case 't': return scan_word(s, "true");
    case 'f': return scan_word(s, "false");
    case 'n': return scan_word(s, "null");
    default: break;
    }
    if (peek(s) == '-' || is_digit(peek(s)))
        return scan_number(s);
    return refuse(s, s->at, s->at < s->size ? "a value is missing" : "the text ends too early");
}

/* `"key" :` of an object. */
static bool scan_key(struct scanner *s)
{
    skip_space(s);
    if (peek(s) != '"')
        return refuse(s, s->at, s->at < s->size ? "a key in double quotes is missing" : "the text ends too early");
    if (!scan_string(s))
        return false;
    skip_space(s);
    if (peek(s) != ':')
        return refuse(s, s->at, "':' is missing");
    s->at++;
    return true;
}

/* One value with all that it holds. The stack keeps the closing bracket of every open array and object. */
static bool scan_value(struct scanner *s)
{
    char closing[SB_JSON_MAX_DEPTH];
    int depth = 0;
    for (;;) {
        skip_space(s);
        char c = peek(s);
        if (c == '{' || c == '[') {
            if (depth == SB_JSON_MAX_DEPTH)
                return refuse(s, s->at, "nesting is deeper than 64 levels");
            closing[depth++] = c == '{' ? '}' : ']';
            s->at++;
            skip_space(s);
            if (peek(s) != closing[depth - 1]) {
                if (c == '{' && !scan_key(s))
                    return false;
                continue;
            }
        } else if (!scan_scalar(s)) {
            return false;
        }
        /* Behind a complete value, or at the bracket that ends an empty one. */
        for (skip_space(s); depth > 0 && peek(s) == closing[depth - 1]; skip_space(s)) {
            s->at++;
            depth--;
        }
        if (depth == 0)
            return true;
        if (peek(s) != ',')
            return refuse(s, s->at,
                          s->at < s->size ? "',' or a closing bracket is missing" : "the text ends too early");
        s->at++;
        if (closing[depth - 1] == '}' && !scan_key(s))
            return false;
    }
}

enum sb_status sb_json_parse(cJSON **json, const char *text, size_t size, struct sb_error *error)
{
    *json = NULL;
    struct scanner s = {.text = text, .size = size};
    size_t bad;
    if (!sb_utf8_valid(text, size, &bad))
        return sb_fail(error, SB_INVALID, "bad JSON at byte %zu: malformed UTF-8", bad);
    size_t mark = size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* byte order mark */
    s.at = mark;
    if (scan_value(&s) && s.at < size)
        refuse(&s, s.at, "something follows the value");
    if (s.problem)
        return sb_fail(error, SB_INVALID, "bad JSON at byte %zu: %s", s.bad, s.problem);
    *json = cJSON_ParseWithLength(text + mark, size - mark);
    return *json ? SB_OK : sb_fail(error, SB_NO_MEMORY, "no memory for %zu bytes of JSON", size);
}

enum sb_status sb_json_read_file(cJSON **json, const char *path, size_t limit, struct sb_error *error)
{
    char *text;
    size_t size;
    *json = NULL;
    enum sb_status status = sb_read_file(&text, &size, path, limit, error);
    if (status != SB_OK)
        return status;
    status = sb_json_parse(json, text, size, error);
    if (status != SB_OK)
        status = sb_fail_context(error, status, "%s", path);
    free(text);
    return status;
}

static const char *type_name(const cJSON *json)
{
    return cJSON_IsBool(json)     ? "true or false"
           : cJSON_IsNumber(json) ? "a number"
           : cJSON_IsString(json) ? "a string"
           : cJSON_IsArray(json)  ? "an array"
           : cJSON_IsObject(json) ? "an object"
                                  : "null";
}

/* The value of key, or NULL when it is missing or null. */
static const cJSON *find(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(item) ? NULL : item;
}

enum sb_status sb_json_get_bool(bool *value, const cJSON *object, const char *key, struct sb_error *error)
{
    const cJSON *item = find(object, key);
    if (!item)
        return SB_OK;
    if (!cJSON_IsBool(item))
        return sb_fail(error, SB_INVALID, "\"%s\" must be true or false, not %s", key, type_name(item));
    *value = cJSON_IsTrue(item);
    return SB_OK;
}

bool sb_json_as_int(int64_t *value, int64_t low, int64_t high, const cJSON *json)
{
    if (!cJSON_IsNumber(json))
        return false;
    double number = json->valuedouble;
    if (!(fabs(number) <= 0x1p53) || number != floor(number))
        return false;
    int64_t whole = (int64_t)number;
    if (whole < low || whole > high)
        return false;
    *value = whole;
    return true;
}

enum sb_status sb_json_get_int(int64_t *value, int64_t low, int64_t high, const cJSON *object, const char *key,
                               struct sb_error *error)
{
    const cJSON *item = find(object, key);
    if (!item || sb_json_as_int(value, low, high, item))
        return SB_OK;
    if (cJSON_IsNumber(item))
        return sb_fail(error, SB_INVALID, "\"%s\" must be an integer from %" PRId64 " to %" PRId64 ", not %.17g", key,
                       low, high, item->valuedouble);
    return sb_fail(error, SB_INVALID, "\"%s\" must be an integer, not %s", key, type_name(item));
}

enum sb_status sb_json_get_double(double *value, double low, double high, const cJSON *object, const char *key,
                                  struct sb_error *error)
{
    const cJSON *item = find(object, key);
    if (!item)
        return SB_OK;
    if (!cJSON_IsNumber(item))
        return sb_fail(error, SB_INVALID, "\"%s\" must be a number, not %s", key, type_name(item));
    if (!(item->valuedouble >= low && item->valuedouble <= high))
        return sb_fail(error, SB_INVALID, "\"%s\" must be from %g to %g, not %g", key, low, high, item->valuedouble);
    *value = item->valuedouble;
    return SB_OK;
}

enum sb_status sb_json_get_string(const char **value, const cJSON *object, const char *key, struct sb_error *error)
{
    const cJSON *item = find(object, key);
    if (!item)
        return SB_OK;
    if (!cJSON_IsString(item))
        return sb_fail(error, SB_INVALID, "\"%s\" must be a string, not %s", key, type_name(item));
    *value = item->valuestring;
    return SB_OK;
}
