#include "cli/command.h"
int sb_command_bench(char **argv, struct sb_error *error) { (void)argv; (void)error; return 0; }
