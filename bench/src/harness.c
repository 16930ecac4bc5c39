/*
 * harness.c - runs one round of measures and prints a line for each sample:
 * measure, variant, round and value, between tabs.
 *
 *     harness ROUND MEASURE...
 */
#include "bench.h"

static const struct {
    const char *name;
    void (*measure)(int round);
} measures[] = {
    {"issue", measure_issue},     {"reject", measure_reject}, {"unknown", measure_unknown},
    {"flood", measure_flood},     {"alone", measure_alone},   {"keys", measure_keys},
    {"resume", measure_resume},   {"rotation", measure_rotation},
};

enum { MEASURES = sizeof measures / sizeof *measures };

static void run(const char *name, int round)
{
    for (int i = 0; i < MEASURES; i++)
        if (strcmp(measures[i].name, name) == 0) {
            measures[i].measure(round);
            return;
        }
    fprintf(stderr, "harness: no measure %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: harness ROUND MEASURE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        run(argv[i], atoi(argv[1]));
    return 0;
}
