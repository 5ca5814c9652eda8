#include "weights/pickle_impl.h"

#include "base/utf8.h"
#include "weights/bytes_impl.h"
#include "weights/grow_impl.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    THINGS_MAX = 1 << 20, /* values, items, stack, marks and memo each; a large BERT needs some ten thousand */
    TEXT_MAX = 4096,      /* bytes of a string or of a global's name */
};

struct machine {
    struct sb_pickle *pickle;
    const char *file;
    const uint8_t *data;
    size_t size, at;
    const struct sb_pickle_global *allowed;
    size_t allowed_count;
    int32_t *stack;
    size_t stack_count, stack_capacity;
    size_t *marks; /* heights of the stack */
    size_t mark_count, mark_capacity;
    int32_t *memo; /* SB_PICKLE_NOTHING: not set */
    size_t memo_count, memo_capacity;
    size_t memo_used; /* entries set so far: MEMOIZE writes the next one */
    bool stopped;
    struct sb_error *error;
};

static enum sb_status fail(struct machine *m, const char *problem)
{
    return sb_fail(m->error, SB_CORRUPT, "%s: damaged pickle at byte %zu: %s", m->file, m->at, problem);
}

static enum sb_status fail_size(struct machine *m, const char *what)
{
    return sb_fail(m->error, SB_LIMIT, "%s: the pickle holds more %s than %d", m->file, what, THINGS_MAX);
}

static enum sb_status fail_memory(struct machine *m)
{
    return sb_fail(m->error, SB_NO_MEMORY, "%s: no memory to read the pickle", m->file);
}

/* n bytes of operand, or NULL when the pickle ends before. */
static const uint8_t *take(struct machine *m, size_t n)
{
    if (n > m->size - m->at)
        return NULL;
    const uint8_t *bytes = m->data + m->at;
    m->at += n;
    return bytes;
}

/* A little-endian operand of `width` bytes. */
static bool take_number(struct machine *m, uint64_t *number, size_t width)
{
    const uint8_t *bytes = take(m, width);
    if (!bytes)
        return false;
    *number = 0;
    memcpy(number, bytes, width);
    return true;
}

static enum sb_status push_index(struct machine *m, int32_t index)
{
    if (m->stack_count == THINGS_MAX)
        return fail_size(m, "values on the stack");
    if (!sb_grow((void **)&m->stack, &m->stack_capacity, m->stack_count, sizeof *m->stack))
        return fail_memory(m);
    m->stack[m->stack_count++] = index;
    return SB_OK;
}

static enum sb_status push(struct machine *m, struct sb_pickle_value value)
{
    struct sb_pickle *pickle = m->pickle;
    if (pickle->value_count == THINGS_MAX)
        return fail_size(m, "values");
    if (!sb_grow((void **)&pickle->values, &pickle->value_capacity, pickle->value_count, sizeof value))
        return fail_memory(m);
    value.first = value.last = SB_PICKLE_NOTHING;
    pickle->values[pickle->value_count] = value;
    return push_index(m, (int32_t)pickle->value_count++);
}

/* Values above the last mark (or all of them) that an opcode may take. */
static size_t available(const struct machine *m)
{
    return m->stack_count - (m->mark_count ? m->marks[m->mark_count - 1] : 0);
}

/* The value at depth below the top. */
static struct sb_pickle_value *peek(const struct machine *m, size_t depth)
{
    return &m->pickle->values[m->stack[m->stack_count - 1 - depth]];
}

static enum sb_status append_item(struct machine *m, struct sb_pickle_value *container, int32_t key, int32_t value)
{
    struct sb_pickle *pickle = m->pickle;
    if (pickle->item_count == THINGS_MAX)
        return fail_size(m, "items");
    if (!sb_grow((void **)&pickle->items, &pickle->item_capacity, pickle->item_count, sizeof *pickle->items))
        return fail_memory(m);
    int32_t item = (int32_t)pickle->item_count++;
    pickle->items[item] = (struct sb_pickle_item){key, value, SB_PICKLE_NOTHING};
    if (container->last == SB_PICKLE_NOTHING)
        container->first = item;
    else
        pickle->items[container->last].next = item;
    container->last = item;
    container->count++;
    return SB_OK;
}

static enum sb_status push_tuple(struct machine *m, size_t count)
{
    if (available(m) < count)
        return fail(m, "a tuple takes more values than there are");
    size_t first = m->stack_count - count;
    enum sb_status status = push(m, (struct sb_pickle_value){.kind = SB_PICKLE_TUPLE});
    for (size_t i = 0; i < count && status == SB_OK; i++)
        status = append_item(m, peek(m, 0), SB_PICKLE_NOTHING, m->stack[first + i]);
    if (status != SB_OK)
        return status;
    m->stack[first] = m->stack[m->stack_count - 1];
    m->stack_count = first + 1;
    return SB_OK;
}

/* How many values lie above the mark that this opcode consumes. */
static bool take_mark(struct machine *m, size_t *count)
{
    if (m->mark_count == 0)
        return false;
    *count = available(m);
    m->mark_count--;
    return true;
}

/* The values on top, pairs of key and value or single ones, go into the container below them. */
static enum sb_status fill(struct machine *m, enum sb_pickle_kind kind, size_t count)
{
    if (available(m) < count + 1)
        return fail(m, "values for a container that is not there");
    size_t step = kind == SB_PICKLE_DICT ? 2 : 1, first = m->stack_count - count;
    struct sb_pickle_value *container = peek(m, count);
    if (container->kind != kind || count % step != 0)
        return fail(m, kind == SB_PICKLE_DICT ? "pairs for something that is no dictionary"
                                              : "values for something that is no list");
    enum sb_status status = SB_OK;
    for (size_t i = first; i < m->stack_count && status == SB_OK; i += step) {
        bool pair = step == 2;
        status = append_item(m, container, pair ? m->stack[i] : SB_PICKLE_NOTHING, m->stack[i + (pair ? 1 : 0)]);
    }
    m->stack_count = first;
    return status;
}

static enum sb_status fill_from_mark(struct machine *m, enum sb_pickle_kind kind)
{
    size_t count;
    return take_mark(m, &count) ? fill(m, kind, count) : fail(m, "no mark");
}

static enum sb_status push_mark(struct machine *m)
{
    if (m->mark_count == THINGS_MAX)
        return fail_size(m, "marks");
    if (!sb_grow((void **)&m->marks, &m->mark_capacity, m->mark_count, sizeof *m->marks))
        return fail_memory(m);
    m->marks[m->mark_count++] = m->stack_count;
    return SB_OK;
}

static enum sb_status put(struct machine *m, uint64_t index)
{
    if (index >= THINGS_MAX)
        return fail_size(m, "memo entries");
    if (available(m) == 0)
        return fail(m, "nothing to remember");
    while (m->memo_count <= index) {
        if (!sb_grow((void **)&m->memo, &m->memo_capacity, m->memo_count, sizeof *m->memo))
            return fail_memory(m);
        m->memo[m->memo_count++] = SB_PICKLE_NOTHING;
    }
    m->memo_used += m->memo[index] == SB_PICKLE_NOTHING;
    m->memo[index] = m->stack[m->stack_count - 1];
    return SB_OK;
}

static enum sb_status get(struct machine *m, uint64_t index)
{
    if (index >= m->memo_count || m->memo[index] == SB_PICKLE_NOTHING)
        return fail(m, "a memo entry that was never set");
    return push_index(m, m->memo[index]);
}

static enum sb_status push_string(struct machine *m, uint64_t size)
{
    if (size > TEXT_MAX)
        return fail(m, "a string longer than 4096 bytes");
    const uint8_t *text = take(m, (size_t)size);
    if (!text)
        return fail(m, "it ends inside a string");
    if (!sb_utf8_valid((const char *)text, (size_t)size, NULL))
        return fail(m, "a string that is not UTF-8");
    return push(m,
                (struct sb_pickle_value){.kind = SB_PICKLE_STRING, .text = (const char *)text, .size = (size_t)size});
}

/* LONG1: a signed number of 0 to 255 bytes; more than eight do not occur in a size or an offset. */
static enum sb_status push_long(struct machine *m)
{
    uint64_t width, number = 0;
    if (!take_number(m, &width, 1) || width > 8 || !take_number(m, &number, (size_t)width))
        return fail(m, "a number of more than 64 bits, or a cut one");
    if (width > 0 && width < 8 && number >> (8 * width - 1))
        number |= UINT64_MAX << 8 * width; /* the sign goes on */
    return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_INT, .integer = (int64_t)number});
}

/* BINFLOAT is big-endian. */
static enum sb_status push_float(struct machine *m)
{
    uint64_t bits;
    double number;
    if (!take_number(m, &bits, 8))
        return fail(m, "it ends inside a number");
    bits = __builtin_bswap64(bits);
    memcpy(&number, &bits, sizeof number);
    return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_FLOAT, .number = number});
}

/* Messages about a refused global quote it; this keeps them one readable line. */
static void copy_printable(char *copy, size_t room, const char *text, size_t size)
{
    size_t n = size < room - 1 ? size : room - 1;
    for (size_t i = 0; i < n; i++)
        copy[i] = text[i] >= 0x20 && text[i] < 0x7F ? text[i] : '?';
    copy[n] = '\0';
}

static bool equals(const char *word, const char *text, size_t size)
{
    return strlen(word) == size && memcmp(word, text, size) == 0;
}

static enum sb_status push_global(struct machine *m, const char *module, size_t module_size, const char *name,
                                  size_t name_size)
{
    for (size_t i = 0; i < m->allowed_count; i++) {
        const struct sb_pickle_global *global = &m->allowed[i];
        if (equals(global->module, module, module_size) && equals(global->name, name, name_size))
            return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_GLOBAL, .global = global});
    }
    char quoted_module[100], quoted_name[100];
    copy_printable(quoted_module, sizeof quoted_module, module, module_size);
    copy_printable(quoted_name, sizeof quoted_name, name, name_size);
    return sb_fail(m->error, SB_UNSUPPORTED,
                   "%s: the pickle asks for %s.%s, which weights do not need: refused (nothing was executed)", m->file,
                   quoted_module, quoted_name);
}

/* GLOBAL: two lines of text. */
static enum sb_status read_global(struct machine *m)
{
    const char *parts[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        parts[i] = (const char *)m->data + m->at;
        const char *newline = memchr(parts[i], '\n', m->size - m->at);
        if (!newline || newline - parts[i] > TEXT_MAX)
            return fail(m, "a global's name has no end");
        sizes[i] = (size_t)(newline - parts[i]);
        m->at += sizes[i] + 1;
    }
    return push_global(m, parts[0], sizes[0], parts[1], sizes[1]);
}

/* STACK_GLOBAL: module and name are strings on the stack. */
static enum sb_status pop_global(struct machine *m)
{
    if (available(m) < 2 || peek(m, 0)->kind != SB_PICKLE_STRING || peek(m, 1)->kind != SB_PICKLE_STRING)
        return fail(m, "a global without a name");
    struct sb_pickle_value module = *peek(m, 1), name = *peek(m, 0);
    m->stack_count -= 2;
    return push_global(m, module.text, module.size, name.text, name.size);
}

/* REDUCE: callable and argument tuple become what the rule of the callable says. */
static enum sb_status reduce(struct machine *m)
{
    if (available(m) < 2 || peek(m, 0)->kind != SB_PICKLE_TUPLE || peek(m, 1)->kind != SB_PICKLE_GLOBAL)
        return fail(m, "a call of something that is no function");
    const struct sb_pickle_global *global = peek(m, 1)->global;
    int32_t arguments = m->stack[m->stack_count - 1];
    bool makes_dict = global->rule == SB_PICKLE_MAKES_DICT;
    if (global->rule == SB_PICKLE_IS_TYPE || (makes_dict && peek(m, 0)->count != 0))
        return sb_fail(m->error, SB_UNSUPPORTED, "%s: the pickle calls %s.%s%s: refused (nothing was executed)",
                       m->file, global->module, global->name, makes_dict ? " with arguments" : "");
    m->stack_count -= 2;
    if (makes_dict)
        return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_DICT});
    return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_CALL, .global = global, .argument = arguments});
}

/* BUILD sets attributes; a state dictionary carries "_metadata", the modules' versions, which weights do not need. */
static enum sb_status build(struct machine *m)
{
    if (available(m) < 2 || peek(m, 1)->kind != SB_PICKLE_DICT)
        return fail(m, "attributes for something that is no dictionary");
    m->stack_count--;
    return SB_OK;
}

static enum sb_status persistent(struct machine *m)
{
    if (available(m) < 1)
        return fail(m, "a persistent id that is not there");
    int32_t id = m->stack[--m->stack_count];
    return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_PERSISTENT, .argument = id});
}

static enum sb_status stop(struct machine *m)
{
    if (m->stack_count != 1 || m->mark_count != 0)
        return fail(m, "it stops with something else than one value");
    m->pickle->root = m->stack[0];
    m->stopped = true;
    return SB_OK;
}

static enum sb_status tuple_from_mark(struct machine *m)
{
    size_t count;
    return take_mark(m, &count) ? push_tuple(m, count) : fail(m, "no mark");
}

/* Opcodes whose only operand is a number of `width` bytes. */
static enum sb_status step_with_number(struct machine *m, uint8_t opcode, size_t width)
{
    uint64_t number;
    if (!take_number(m, &number, width))
        return fail(m, "it ends inside an operand");
    switch (opcode) {
    case 'K':
    case 'M': return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_INT, .integer = (int64_t)number});
    case 'J': return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_INT, .integer = (int32_t)(uint32_t)number});
    case 'q':
    case 'r': return put(m, number);
    case 'h':
    case 'j': return get(m, number);
    case 'X':
    case 0x8C:
    case 0x8D:
    case 'U': return push_string(m, number);
    case 0x80: return number <= 5 ? SB_OK : fail(m, "a protocol newer than 5");
    default: return SB_OK; /* FRAME: how many bytes to read ahead, which are all here */
    }
}

/* One instruction. What is not listed is refused: among it everything that makes or calls objects of other classes. */
static enum sb_status step(struct machine *m)
{
    uint8_t opcode = m->data[m->at++];
    switch (opcode) {
    case 0x80: /* PROTO */
    case 'K':  /* BININT1 */
    case 'q':  /* BINPUT */
    case 'h':  /* BINGET */
    case 0x8C: /* SHORT_BINUNICODE */
    case 'U': /* SHORT_BINSTRING: text of Python 2 */ return step_with_number(m, opcode, 1);
    case 'M': return step_with_number(m, opcode, 2); /* BININT2 */
    case 'J':                                        /* BININT */
    case 'X':                                        /* BINUNICODE */
    case 'r':                                        /* LONG_BINPUT */
    case 'j': /* LONG_BINGET */ return step_with_number(m, opcode, 4);
    case 0x95: /* FRAME */
    case 0x8D: /* BINUNICODE8 */ return step_with_number(m, opcode, 8);
    case 0x94: return put(m, m->memo_used); /* MEMOIZE */
    case 0x8A: return push_long(m);         /* LONG1 */
    case 'G': return push_float(m);         /* BINFLOAT */
    case 'N': return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_NONE});
    case 0x88:
    case 0x89: return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_BOOL, .integer = opcode == 0x88});
    case '}': return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_DICT});
    case ']': return push(m, (struct sb_pickle_value){.kind = SB_PICKLE_LIST});
    case ')': return push_tuple(m, 0);
    case 0x85: return push_tuple(m, 1);
    case 0x86: return push_tuple(m, 2);
    case 0x87: return push_tuple(m, 3);
    case '(': return push_mark(m);
    case 't': return tuple_from_mark(m);                /* TUPLE */
    case 's': return fill(m, SB_PICKLE_DICT, 2);        /* SETITEM */
    case 'u': return fill_from_mark(m, SB_PICKLE_DICT); /* SETITEMS */
    case 'a': return fill(m, SB_PICKLE_LIST, 1);        /* APPEND */
    case 'e': return fill_from_mark(m, SB_PICKLE_LIST); /* APPENDS */
    case 'c': return read_global(m);                    /* GLOBAL */
    case 0x93: return pop_global(m);                    /* STACK_GLOBAL */
    case 'Q': return persistent(m);                     /* BINPERSID */
    case 'R': return reduce(m);                         /* REDUCE */
    case 'b': return build(m);                          /* BUILD */
    case '.': return stop(m);                           /* STOP */
    default:
        return sb_fail(m->error, SB_UNSUPPORTED,
                       "%s: opcode 0x%02x at byte %zu of the pickle is not one that weights need: refused "
                       "(nothing was executed)",
                       m->file, opcode, m->at - 1);
    }
}

enum sb_status sb_pickle_read(struct sb_pickle *pickle, const char *file, const void *data, size_t size,
                              const struct sb_pickle_global *allowed, size_t allowed_count, struct sb_error *error)
{
    *pickle = (struct sb_pickle){0};
    if (size > SB_PICKLE_MAX_BYTES)
        return sb_fail(error, SB_LIMIT, "%s: the pickle has %zu bytes, more than %d", file, size, SB_PICKLE_MAX_BYTES);
    struct machine m = {.pickle = pickle,
                        .file = file,
                        .data = data,
                        .size = size,
                        .allowed = allowed,
                        .allowed_count = allowed_count,
                        .error = error};
    enum sb_status status = SB_OK;
    while (status == SB_OK && !m.stopped)
        status = m.at < size ? step(&m) : fail(&m, "it ends without a STOP");
    pickle->size = m.at;
    free(m.stack);
    free(m.marks);
    free(m.memo);
    if (status != SB_OK)
        sb_pickle_free(pickle);
    return status;
}

void sb_pickle_free(struct sb_pickle *pickle)
{
    free(pickle->values);
    free(pickle->items);
    *pickle = (struct sb_pickle){0};
}
