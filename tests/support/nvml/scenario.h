/* Knows how a scenario file reads: one record a line, `kind<TAB>key=value<TAB>key=value`; see scenario.py. */
#ifndef WHARF_SCENARIO_H
#define WHARF_SCENARIO_H

#define MOST_KEYS 24

struct record {
    char *kind;
    int keys;
    char *key[MOST_KEYS];
    char *value[MOST_KEYS];
    struct record *next;
};

/* Reads the file of NVML_SCENARIO anew if it is another one than before; the records, or NULL for none. */
struct record *scenario(void);

/* The value of a key; NULL where the record has none. */
const char *text(const struct record *record, const char *key);

/* The value of a key as a number; `otherwise` where the record has none. */
unsigned long long number(const struct record *record, const char *key, unsigned long long otherwise);

/* Whether a key has exactly this value. */
int is(const struct record *record, const char *key, const char *value);

#endif
