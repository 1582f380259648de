/*
 * opt.c - see opt.h.  Own parsing rather than getopt_long: it takes
 * abbreviations of long names, which turn into errors when an option is added.
 */
#include "common/opt.h"

#include "common/err.h"
#include "common/num.h"

#include <float.h>
#include <stdarg.h>

#ifndef BS_VERSION
#define BS_VERSION "unknown"
#endif

enum { HELP_COLUMN = 30 };

static const char *command_name = "bs";

const char *
bs_opt_version(void)
{
    static char text[80];

    snprintf(text, sizeof text, "%.30s %.40s", command_name, BS_VERSION);
    return text;
}

static bool
takes_value(const struct bs_opt *o)
{
    return o->kind != BS_OPT_FLAG && o->kind != BS_OPT_NEGATE &&
           o->kind != BS_OPT_COUNT;
}

/* ---- what the table says of itself --------------------------------------- */

static void
print_help_line(const struct bs_opt *o)
{
    char left[64];

    snprintf(left, sizeof left, "  %c%c%s --%s%s%s%s", o->ch ? '-' : ' ',
             o->ch ? o->ch : ' ', o->ch ? "," : " ",
             o->kind == BS_OPT_NEGATE ? "[no-]" : "", o->name,
             o->arg != NULL ? "=" : "", o->arg != NULL ? o->arg : "");
    if (strlen(left) < HELP_COLUMN - 1)
        printf("%-*s%s\n", HELP_COLUMN, left, o->help);
    else
        printf("%s\n%*s%s\n", left, HELP_COLUMN, "", o->help);
}

static const struct bs_opt standing[] = {
    OPT_FLAG('h', "help", NULL, "show this help and exit"),
    OPT_FLAG('V', "version", NULL, "show version and features and exit"),
    OPT_DONE,
};

/* Call fn for every option of the command. */
static void
each(const struct bs_cmd *cmd, void (*fn)(const struct bs_opt *))
{
    const struct bs_opt *tables[] = {cmd->opt, cmd->shared, standing}, *o;
    size_t i;

    for (i = 0; i < BS_LEN(tables); i++)
        for (o = tables[i]; o != NULL && o->kind != BS_OPT_END; o++)
            fn(o);
}

static void
print_usage(FILE *to, const struct bs_cmd *cmd)
{
    fprintf(to, "usage: %s %s\n", cmd->name, cmd->synopsis);
}

/* Tab-separated: short, long, value's name, values (| between), help. */
static void
print_list_line(const struct bs_opt *o)
{
    size_t i;

    if (o->ch != 0)
        printf("-%c", o->ch);
    printf("\t--%s\t%s\t", o->name, o->arg != NULL ? o->arg : "");
    for (i = 0; o->names != NULL && o->names[i] != NULL; i++)
        printf("%s%s", i > 0 ? "|" : "", o->names[i]);
    printf("\t%s\n", o->help);
    if (o->kind == BS_OPT_NEGATE)
        printf("\t--no-%s\t\t\tdo not %s\n", o->name, o->help);
}

/* The page of "bs-sae encode" is called bs-sae-encode. */
static void
print_manual(const char *name)
{
    fputs("\nManual: man ", stdout);
    for (; *name != '\0'; name++)
        putchar(*name == ' ' ? '-' : *name);
    puts(", man 7 bs");
}

static void
show(const struct bs_cmd *cmd, const char *what)
{
    if (strcmp(what, "help") == 0) {
        print_usage(stdout, cmd);
        printf("%s - %s\n\n", cmd->name, cmd->brief);
        each(cmd, print_help_line);
        print_manual(cmd->name);
    } else if (strcmp(what, "version") == 0) {
        printf("%s\n", bs_opt_version());
        if (cmd->features != NULL)
            printf("%s\n", cmd->features());
    } else {
        each(cmd, print_list_line);
    }
    exit(bs_finish(BS_EX_OK));
}

void
bs_opt_misuse(const struct bs_cmd *cmd, const char *fmt, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    bs_complain("%s", text);
    print_usage(stderr, cmd);
    exit(BS_EX_USAGE);
}

/* ---- parsing ---------------------------------------------------------------
 */

/* The option called `ch` or `name` (of len bytes), or NULL; *negated for
 * --no-NAME. */
static const struct bs_opt *
find(const struct bs_cmd *cmd, char ch, const char *name, size_t len,
     bool *negated)
{
    const struct bs_opt *tables[] = {cmd->opt, cmd->shared, standing}, *o;
    size_t i;

    *negated = false;
    for (i = 0; i < BS_LEN(tables); i++)
        for (o = tables[i]; o != NULL && o->kind != BS_OPT_END; o++) {
            if (name == NULL) {
                if (o->ch == ch)
                    return o;
            } else if (strlen(o->name) == len &&
                       memcmp(o->name, name, len) == 0) {
                return o;
            } else if (o->kind == BS_OPT_NEGATE && len > 3 &&
                       memcmp(name, "no-", 3) == 0 &&
                       strlen(o->name) == len - 3 &&
                       memcmp(o->name, name + 3, len - 3) == 0) {
                *negated = true;
                return o;
            }
        }
    return NULL;
}

/* Why `value` is not one of the names, or NULL. */
static const char *
choose(const struct bs_opt *o, const char *value)
{
    static char why[200];
    size_t n;
    int i;

    for (i = 0; o->names[i] != NULL; i++)
        if (strcmp(o->names[i], value) == 0) {
            *(int *)o->to = i;
            return NULL;
        }
    n = (size_t)snprintf(why, sizeof why, "not one of");
    for (i = 0; o->names[i] != NULL && n < sizeof why; i++)
        n += (size_t)snprintf(why + n, sizeof why - n, "%s %s",
                              i > 0 ? "," : "", o->names[i]);
    return why;
}

static const char *
append(struct bs_opt_list *list, const char *value)
{
    if (*value == '\0')
        return "empty";
    if (list->count == BS_OPT_LIST_MAX)
        return "too many of them";
    list->item[list->count++] = value;
    return NULL;
}

/* Store the value; NULL, or why it is wrong. */
static const char *
store(const struct bs_opt *o, const char *value)
{
    switch (o->kind) {
    case BS_OPT_U64:
        return bs_num_u64(value, o->min, o->max, o->to);
    case BS_OPT_I64:
        return bs_num_i64(value, (int64_t)o->min, (int64_t)o->max, o->to);
    case BS_OPT_SIZE:
        return bs_num_size(value, o->min, o->max, o->to);
    case BS_OPT_SECONDS:
        return bs_num_seconds(value, o->max, o->to);
    case BS_OPT_F64:
        return bs_num_f64(value, -DBL_MAX, DBL_MAX, o->to);
    case BS_OPT_ENUM:
        return choose(o, value);
    case BS_OPT_STR:
    case BS_OPT_FILE:
        if (*value == '\0')
            return "empty";
        *(const char **)o->to = value;
        return NULL;
    case BS_OPT_FILES:
        return append(o->to, value);
    default:
        return "not an option with a value";
    }
}

static void
apply(const struct bs_cmd *cmd, const struct bs_opt *o, const char *spelled,
      const char *value, bool negated)
{
    const char *why;

    if (o->to == NULL)
        show(cmd, o->name);
    else if (o->kind == BS_OPT_FLAG)
        *(bool *)o->to = true;
    else if (o->kind == BS_OPT_NEGATE)
        *(int *)o->to = !negated;
    else if (o->kind == BS_OPT_COUNT)
        ++*(int *)o->to;
    else if ((why = store(o, value)) != NULL)
        bs_opt_misuse(cmd, "option '%s': '%s': %s", spelled, value, why);
}

/* One argument that starts with "--"; returns how many it took. */
static int
parse_long(const struct bs_cmd *cmd, char *const arg[])
{
    const char *name = arg[0] + 2, *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    char spelled[40];
    bool negated;
    const struct bs_opt *o = find(cmd, 0, name, len, &negated);

    if (o == NULL && strcmp(name, "list-options") == 0)
        show(cmd, name);
    snprintf(spelled, sizeof spelled, "--%.*s", (int)(len < 36 ? len : 36),
             name);
    if (o == NULL)
        bs_opt_misuse(cmd, "unknown option '%s'", spelled);
    if (!takes_value(o)) {
        if (equals != NULL)
            bs_opt_misuse(cmd, "option '%s' takes no value", spelled);
        apply(cmd, o, spelled, NULL, negated);
        return 1;
    }
    if (equals == NULL && arg[1] == NULL)
        bs_opt_misuse(cmd, "option '%s' needs a value", spelled);
    apply(cmd, o, spelled, equals != NULL ? equals + 1 : arg[1], false);
    return equals != NULL ? 1 : 2;
}

/* One argument of short letters; returns how many arguments it took. */
static int
parse_short(const struct bs_cmd *cmd, char *const arg[])
{
    const char *s;

    for (s = arg[0] + 1; *s != '\0'; s++) {
        char spelled[3] = {'-', *s, '\0'};
        bool negated;
        const struct bs_opt *o = find(cmd, *s, NULL, 0, &negated);

        if (o == NULL)
            bs_opt_misuse(cmd, "unknown option '%s'", spelled);
        if (!takes_value(o)) {
            apply(cmd, o, spelled, NULL, false);
            continue;
        }
        if (s[1] != '\0') {
            apply(cmd, o, spelled, s + 1, false);
            return 1;
        }
        if (arg[1] == NULL)
            bs_opt_misuse(cmd, "option '%s' needs a value", spelled);
        apply(cmd, o, spelled, arg[1], false);
        return 2;
    }
    return 1;
}

/* Move argv[from] to argv[to], to <= from, shifting what is between. */
static void
move_down(char *argv[], int from, int to)
{
    char *arg = argv[from];

    memmove(argv + to + 1, argv + to, (size_t)(from - to) * sizeof *argv);
    argv[to] = arg;
}

int
bs_opt_parse(const struct bs_cmd *cmd, int argc, char *argv[])
{
    int i = 1, options = 1; /* argv[1..options-1] are options and values */

    command_name = cmd->name;
    while (i < argc) {
        int taken;

        if (strcmp(argv[i], "--") == 0) {
            move_down(argv, i, options++);
            break;
        }
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            i++;
            continue;
        }
        taken = argv[i][1] == '-' ? parse_long(cmd, argv + i)
                                  : parse_short(cmd, argv + i);
        for (; taken > 0; taken--)
            move_down(argv, i++, options++);
    }
    return options;
}
