/*
 * bs-sae - sparse autoencoders: train, encode, decode, evaluate, convert
 *
 * Only tells the subcommands apart; each is a file of its own, cmd/sae-*.c.
 */
#include <stdio.h>

#include "cmd/sae-commands.h"
#include "cmd/shared.h"

static const struct subcommand {
    const char *name, *brief;
    int (*main)(int argc, char *argv[]);
} subcommands[] = {
    {"train", "features to a sparse autoencoder", bs_sae_train_main},
    {"encode", "features to sparse codes", bs_sae_encode_main},
    {"decode", "sparse codes to features", bs_sae_decode_main},
    {"eval", "metrics of an autoencoder and its dictionary", bs_sae_eval_main},
    {"import", "autoencoders of other programs, as models", bs_sae_import_main},
    {"export", "models as other programs' files", bs_sae_export_main},
};

static void
list(void)
{
    size_t i;

    puts("usage: bs-sae command [options] [input ...]\n"
         "bs-sae - sparse autoencoders: train, encode, decode, evaluate, "
         "convert\n");
    for (i = 0; i < BS_LEN(subcommands); i++)
        printf("  %-10s %s\n", subcommands[i].name, subcommands[i].brief);
    puts("\n'bs-sae command --help' tells a command's options.\n\n"
         "Manual: man bs-sae, man 7 bs");
}

/* For the completions: a line a subcommand. */
static void
list_names(void)
{
    size_t i;

    for (i = 0; i < BS_LEN(subcommands); i++)
        printf("%s\t%s\n", subcommands[i].name, subcommands[i].brief);
}

/* What stands where a subcommand should: the standard options of the whole, or
 * misuse. */
static int
without_subcommand(int argc, char *argv[])
{
    const struct bs_opt opt[] = {OPT_DONE};
    const struct bs_cmd cmd = {.name = "bs-sae",
                               .synopsis = "command [options] [input ...]",
                               .brief = "sparse autoencoders: train, encode, "
                                        "decode, evaluate, convert",
                               .opt = opt,
                               .features = bs_std_features};
    struct bs_std std = BS_STD_DEFAULT;

    if (argc < 2)
        bs_opt_misuse(&cmd, "no command: 'bs-sae --help' lists them");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        list();
    else if (strcmp(argv[1], "--list-commands") == 0)
        list_names();
    else if (bs_std_parse(&cmd, &std, argc, argv) < argc)
        bs_opt_misuse(&cmd, "'%s' is no command of bs-sae", argv[1]);
    return bs_finish(BS_EX_OK);
}

int
main(int argc, char *argv[])
{
    size_t i;

    bs_prog_init("bs-sae");
    for (i = 0; argc > 1 && i < BS_LEN(subcommands); i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].main(argc - 1, argv + 1);
    return without_subcommand(argc, argv);
}
