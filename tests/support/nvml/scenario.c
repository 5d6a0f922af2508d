/* Reads the scenario file whenever it was replaced, and refuses to know what the records mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "scenario.h"

static struct record *records;
static struct stat known;

static void forget(void)
{
    while (records) {
        struct record *next = records->next;
        free(records->kind); /* all of the line is one piece, and begins here */
        free(records);
        records = next;
    }
}

static struct record *parse(char *line)
{
    struct record *record = calloc(1, sizeof *record);
    char *rest = line, *field;
    if (!record)
        abort();
    line[strcspn(line, "\n")] = '\0';
    record->kind = strsep(&rest, "\t");
    while ((field = strsep(&rest, "\t")) && record->keys < MOST_KEYS) {
        record->key[record->keys] = strsep(&field, "=");
        record->value[record->keys++] = field ? field : "";
    }
    return record;
}

struct record *scenario(void)
{
    const char *path = getenv("NVML_SCENARIO");
    struct stat found;
    struct record **end = &records;
    char *line = NULL;
    size_t size = 0;
    FILE *file;

    if (!path || stat(path, &found) != 0)
        return records;
    if (found.st_ino == known.st_ino && found.st_size == known.st_size &&
        found.st_mtim.tv_sec == known.st_mtim.tv_sec && found.st_mtim.tv_nsec == known.st_mtim.tv_nsec)
        return records;
    file = fopen(path, "r");
    if (!file)
        return records;
    forget();
    while (getline(&line, &size, file) >= 0) {
        *end = parse(strdup(line));
        end = &(*end)->next;
    }
    free(line);
    fclose(file);
    known = found;
    return records;
}

const char *text(const struct record *record, const char *key)
{
    for (int i = 0; i < record->keys; i++)
        if (strcmp(record->key[i], key) == 0)
            return record->value[i];
    return NULL;
}

unsigned long long number(const struct record *record, const char *key, unsigned long long otherwise)
{
    const char *value = text(record, key);
    return value ? strtoull(value, NULL, 0) : otherwise;
}

int is(const struct record *record, const char *key, const char *value)
{
    const char *own = text(record, key);
    return own && strcmp(own, value) == 0;
}
