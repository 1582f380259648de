/*
 * sae-commands.h - the subcommands of bs-sae: a main() each, whose argv[0] is
 * the subcommand's name.
 */
#ifndef BS_CMD_SAE_COMMANDS_H
#define BS_CMD_SAE_COMMANDS_H

int bs_sae_encode_main(int argc, char *argv[]);
int bs_sae_decode_main(int argc, char *argv[]);
int bs_sae_import_main(int argc, char *argv[]);
int bs_sae_export_main(int argc, char *argv[]);
int bs_sae_eval_main(int argc, char *argv[]);
int bs_sae_train_main(int argc, char *argv[]);

#endif
