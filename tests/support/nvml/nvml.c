/* Answers the calls of NVIDIA's management library that pynvml makes, from a scenario file.
 *
 * It refuses to remember: each answer is of the scenario as it is now. Only handles last, as the real ones do.
 * One thread at a time may call it. Structures are those of nvml.h; see NVIDIA's NVML API reference.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scenario.h"

enum {
    SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7, TIMEOUT = 10, GPU_IS_LOST = 15
};

typedef unsigned int u32;
typedef unsigned long long u64;

struct memory { u64 total, free, used; };
struct memory2 { u32 version; u64 total, reserved, free, used; };
struct utilization { u32 gpu, memory; };
struct process { u32 pid; u64 memory; u32 gpu_instance, compute_instance; };
struct placement { u32 start, size; };
struct event { void *device; u64 type, data; u32 gpu_instance, compute_instance; };
struct pci { char legacy[16]; u32 domain, bus, device, id, subsystem; char bus_id[32]; };
struct attributes {
    u32 multiprocessors, copy, decoders, encoders, jpeg, ofa, gpu_slices, compute_slices;
    u64 memory_mb;
};

/* A device, by its UUID: a record of the scenario may go and come back, a handle stays. */
struct handle { struct handle *next; char uuid[96]; };
struct instance { struct instance *next; struct handle *device; u32 id; };
struct instance_info { void *device; u32 id, profile; struct placement placement; };
struct event_set { u64 last; int count; struct handle *devices[512]; };

static int initialized;
static struct handle *handles;
static struct instance *instances;

#define NONE 0xFFFFFFFFu
#define EACH(name, wanted) \
    for (struct record *name = scenario(); name; name = name->next) \
        if (strcmp(name->kind, wanted) == 0)

static struct handle *handle_of(const char *uuid)
{
    struct handle *found;
    for (found = handles; found; found = found->next)
        if (strcmp(found->uuid, uuid) == 0)
            return found;
    found = calloc(1, sizeof *found);
    snprintf(found->uuid, sizeof found->uuid, "%s", uuid);
    found->next = handles;
    return handles = found;
}

static struct record *device_record(const char *kind, const struct handle *device)
{
    EACH(record, kind)
        if (is(record, "uuid", device->uuid))
            return record;
    return NULL;
}

/* `nvmlFoo` in a fault is for `nvmlFoo_v3`, too. */
static int names(const char *wanted, const char *call)
{
    size_t length = strlen(wanted);
    return strncmp(wanted, call, length) == 0 && (call[length] == '\0' || strncmp(call + length, "_v", 2) == 0);
}

static struct record *fault(const char *kind, const char *call, const struct handle *device)
{
    EACH(record, kind) {
        const char *wanted = text(record, "device");
        if (wanted && (!device || strcmp(wanted, device->uuid) != 0))
            continue;
        if (is(record, "call", "*") || names(text(record, "call"), call))
            return record;
    }
    return NULL;
}

static void rest(u32 milliseconds)
{
    struct timespec time = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

/* What stands in the way of a call: it hangs as long as the scenario says so, then fails if that says so. */
static int obstacle(const char *call, const struct handle *device)
{
    struct record *found;
    while (fault("hang", call, device))
        rest(10);
    found = fault("fault", call, device);
    return found ? (int)number(found, "code", 999) : SUCCESS;
}

#define BEGIN(device) \
    do { \
        int stopped = initialized ? obstacle(__func__, device) : UNINITIALIZED; \
        if (stopped) \
            return stopped; \
    } while (0)

/* The record of a whole GPU, else the answer for a device that is gone, or a MIG instance. */
#define WHOLE(name, device) \
    struct record *name; \
    BEGIN(device); \
    name = device_record("gpu", device); \
    if (!name) \
        return device_record("mig", device) ? NOT_SUPPORTED : GPU_IS_LOST

/* The record of a whole GPU or of an instance. */
#define ANY(name, device) \
    struct record *name; \
    BEGIN(device); \
    name = device_record("gpu", device); \
    if (!name) \
        name = device_record("mig", device); \
    if (!name) \
        return GPU_IS_LOST

static int put(char *buffer, u32 size, const char *value)
{
    if (!value)
        return NOT_SUPPORTED;
    if (strlen(value) >= size)
        return INSUFFICIENT_SIZE;
    strcpy(buffer, value);
    return SUCCESS;
}

static int tell(const struct record *record, const char *key, u32 *value)
{
    if (!text(record, key))
        return NOT_SUPPORTED;
    *value = (u32)number(record, key, 0);
    return SUCCESS;
}

/* The library itself */

int nvmlInitWithFlags(u32 flags)
{
    int stopped = obstacle(__func__, NULL);
    (void)flags;
    if (!stopped)
        initialized++;
    return stopped;
}

int nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

int nvmlShutdown(void)
{
    BEGIN(NULL);
    initialized--;
    return SUCCESS;
}

const char *nvmlErrorString(int code)
{
    static char words[64];
    snprintf(words, sizeof words, "simulated error %d", code);
    return words;
}

static int version(const char *key, char *buffer, u32 size)
{
    EACH(record, "driver")
        return put(buffer, size, text(record, key));
    return NOT_SUPPORTED;
}

int nvmlSystemGetDriverVersion(char *buffer, u32 size)
{
    BEGIN(NULL);
    return version("version", buffer, size);
}

int nvmlSystemGetNVMLVersion(char *buffer, u32 size)
{
    BEGIN(NULL);
    return version("library", buffer, size);
}

/* Devices */

int nvmlDeviceGetCount_v2(u32 *count)
{
    BEGIN(NULL);
    *count = 0;
    EACH(record, "gpu")
        ++*count;
    EACH(record, "count")
        *count = (u32)number(record, "value", *count);
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(u32 index, struct handle **device)
{
    u32 seen = 0;
    if (!initialized)
        return UNINITIALIZED;
    EACH(record, "gpu")
        if (seen++ == index) {
            struct handle *found = handle_of(text(record, "uuid"));
            BEGIN(found);
            *device = found;
            return SUCCESS;
        }
    BEGIN(NULL);
    return INVALID_ARGUMENT;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct handle **device)
{
    struct handle *found = handle_of(uuid);
    BEGIN(found);
    if (!device_record("gpu", found) && !device_record("mig", found))
        return NOT_FOUND;
    *device = found;
    return SUCCESS;
}

int nvmlDeviceGetUUID(struct handle *device, char *buffer, u32 size)
{
    ANY(record, device);
    return put(buffer, size, text(record, text(record, "told") ? "told" : "uuid"));
}

int nvmlDeviceGetName(struct handle *device, char *buffer, u32 size)
{
    ANY(record, device);
    return put(buffer, size, text(record, "name"));
}

int nvmlDeviceGetMinorNumber(struct handle *device, u32 *minor)
{
    WHOLE(record, device);
    return tell(record, "minor", minor);
}

int nvmlDeviceGetIndex(struct handle *device, u32 *index)
{
    WHOLE(own, device);
    *index = 0;
    EACH(record, "gpu") {
        if (record == own)
            break;
        ++*index;
    }
    return SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(struct handle *device, struct pci *pci)
{
    WHOLE(record, device);
    memset(pci, 0, sizeof *pci);
    if (!text(record, "bus"))
        return NOT_SUPPORTED;
    snprintf(pci->bus_id, sizeof pci->bus_id, "%s", text(record, "bus"));
    snprintf(pci->legacy, sizeof pci->legacy, "%.15s", text(record, "bus"));
    sscanf(text(record, "bus"), "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(struct handle *device, struct memory *memory)
{
    ANY(record, device);
    if (!text(record, "memory"))
        return NOT_SUPPORTED;
    memory->total = number(record, "memory", 0);
    memory->used = number(record, "used", 0);
    memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(struct handle *device, struct memory2 *memory)
{
    ANY(record, device);
    if (!text(record, "memory"))
        return NOT_SUPPORTED;
    memory->total = number(record, "memory", 0);
    memory->used = number(record, "used", 0);
    memory->free = memory->total - memory->used;
    memory->reserved = 0;
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(struct handle *device, struct utilization *rates)
{
    WHOLE(record, device);
    rates->memory = 0;
    return tell(record, "busy", &rates->gpu);
}

int nvmlDeviceGetTotalEnergyConsumption(struct handle *device, u64 *millijoules)
{
    WHOLE(record, device);
    if (!text(record, "energy"))
        return NOT_SUPPORTED;
    *millijoules = number(record, "energy", 0);
    return SUCCESS;
}

/* Processes. Those of an instance are told of the whole GPU, with the instance's numbers; see nvml.h. */

static int belongs(const struct record *process, const struct handle *device, u32 *gi, u32 *ci)
{
    const char *uuid = text(process, "device");
    *gi = *ci = NONE;
    EACH(mig, "mig") {
        if (!is(mig, "uuid", uuid))
            continue;
        *gi = (u32)number(mig, "gi", 0);
        *ci = (u32)number(mig, "ci", 0);
        return is(mig, "parent", device->uuid) || strcmp(uuid, device->uuid) == 0;
    }
    return strcmp(uuid, device->uuid) == 0;
}

static int processes(const char *mode, struct handle *device, u32 *count, struct process *list)
{
    u32 room = list ? *count : 0, seen = 0, gi, ci;
    int part = device_record("mig", device) != NULL;
    EACH(record, "process") {
        if (!is(record, "mode", mode) || (part && !is(record, "device", device->uuid)))
            continue;
        if (!belongs(record, device, &gi, &ci))
            continue;
        if (seen < room)
            list[seen] = (struct process){(u32)number(record, "pid", 0), number(record, "memory", ~0ULL), gi, ci};
        seen++;
    }
    *count = seen;
    return seen > room ? INSUFFICIENT_SIZE : SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(struct handle *device, u32 *count, struct process *list)
{
    ANY(record, device);
    (void)record;
    return processes("compute", device, count, list);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct handle *device, u32 *count, struct process *list)
{
    ANY(record, device);
    (void)record;
    return processes("graphics", device, count, list);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(struct handle *device, u32 *count, struct process *list)
{
    ANY(record, device);
    (void)record;
    return processes("mps", device, count, list);
}

/* Those of drivers before 510; what they tell is the same */

int nvmlDeviceGetComputeRunningProcesses_v2(struct handle *device, u32 *count, struct process *list)
{
    ANY(record, device);
    (void)record;
    return processes("compute", device, count, list);
}

int nvmlDeviceGetGraphicsRunningProcesses_v2(struct handle *device, u32 *count, struct process *list)
{
    ANY(record, device);
    (void)record;
    return processes("graphics", device, count, list);
}

/* MIG */

int nvmlDeviceGetMigMode(struct handle *device, u32 *current, u32 *pending)
{
    WHOLE(record, device);
    if (tell(record, "mig", current))
        return NOT_SUPPORTED;
    *pending = (u32)number(record, "pending", *current);
    return SUCCESS;
}

int nvmlDeviceIsMigDeviceHandle(struct handle *device, u32 *answer)
{
    BEGIN(device);
    *answer = device_record("mig", device) != NULL;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(struct handle *device, u32 *count)
{
    WHOLE(record, device);
    *count = number(record, "mig", 0) ? 7 : 0;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct handle *device, u32 index, struct handle **found)
{
    u32 seen = 0;
    WHOLE(own, device);
    (void)own;
    EACH(record, "mig")
        if (is(record, "parent", device->uuid) && seen++ == index) {
            *found = handle_of(text(record, "uuid"));
            return SUCCESS;
        }
    return NOT_FOUND;
}

int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct handle *device, struct handle **found)
{
    struct record *record;
    BEGIN(device);
    record = device_record("mig", device);
    if (!record)
        return INVALID_ARGUMENT;
    *found = handle_of(text(record, "parent"));
    return SUCCESS;
}

static int of_mig(struct handle *device, const char *key, u32 *id)
{
    struct record *record = device_record("mig", device);
    return record ? tell(record, key, id) : NOT_FOUND;
}

int nvmlDeviceGetGpuInstanceId(struct handle *device, u32 *id)
{
    BEGIN(device);
    return of_mig(device, "gi", id);
}

int nvmlDeviceGetComputeInstanceId(struct handle *device, u32 *id)
{
    BEGIN(device);
    return of_mig(device, "ci", id);
}

int nvmlDeviceGetAttributes_v2(struct handle *device, struct attributes *attributes)
{
    ANY(record, device);
    memset(attributes, 0, sizeof *attributes);
    if (!text(record, "slices"))
        return NOT_SUPPORTED;
    attributes->gpu_slices = (u32)number(record, "slices", 0);
    attributes->compute_slices = (u32)number(record, "compute", attributes->gpu_slices);
    attributes->memory_mb = number(record, "memory", 0) >> 20;
    return SUCCESS;
}

int nvmlDeviceGetGpuInstanceById(struct handle *device, u32 id, struct instance **found)
{
    WHOLE(own, device);
    (void)own;
    EACH(record, "mig") {
        if (!is(record, "parent", device->uuid) || number(record, "gi", NONE) != id)
            continue;
        for (*found = instances; *found; *found = (*found)->next)
            if ((*found)->device == device && (*found)->id == id)
                return SUCCESS;
        *found = calloc(1, sizeof **found);
        **found = (struct instance){instances, device, id};
        instances = *found;
        return SUCCESS;
    }
    return NOT_FOUND;
}

int nvmlGpuInstanceGetInfo(struct instance *instance, struct instance_info *info)
{
    BEGIN(instance->device);
    EACH(record, "mig")
        if (is(record, "parent", instance->device->uuid) && number(record, "gi", NONE) == instance->id) {
            if (!text(record, "start"))
                return NOT_SUPPORTED;
            *info = (struct instance_info){
                instance->device, instance->id, 0,
                {(u32)number(record, "start", 0), (u32)number(record, "size", 0)}};
            return SUCCESS;
        }
    return NOT_FOUND;
}

/* Health */

int nvmlDeviceGetTotalEccErrors(struct handle *device, int kind, int counter, u64 *count)
{
    WHOLE(record, device);
    (void)counter;
    if (!text(record, "ecc"))
        return NOT_SUPPORTED;
    *count = kind == 1 ? number(record, "ecc", 0) : 0; /* 1: those that could not be corrected */
    return SUCCESS;
}

int nvmlDeviceGetRetiredPagesPendingStatus(struct handle *device, u32 *pending)
{
    WHOLE(record, device);
    return tell(record, "retiring", pending);
}

int nvmlDeviceGetRemappedRows(struct handle *device, u32 *corrected, u32 *uncorrected, u32 *pending, u32 *failed)
{
    WHOLE(record, device);
    if (!text(record, "remapping"))
        return NOT_SUPPORTED;
    *corrected = 0;
    *pending = (u32)number(record, "remapping", 0);
    *failed = (u32)number(record, "remapfailed", 0);
    *uncorrected = *pending || *failed;
    return SUCCESS;
}

/* Events: what was added to the scenario since a set was made, once for each set, in order. */

static u64 newest(void)
{
    u64 found = 0;
    EACH(record, "event")
        if (number(record, "seq", 0) > found)
            found = number(record, "seq", 0);
    return found;
}

int nvmlEventSetCreate(struct event_set **set)
{
    BEGIN(NULL);
    *set = calloc(1, sizeof **set);
    (*set)->last = newest();
    return SUCCESS;
}

int nvmlEventSetFree(struct event_set *set)
{
    BEGIN(NULL);
    free(set);
    return SUCCESS;
}

int nvmlDeviceGetSupportedEventTypes(struct handle *device, u64 *types)
{
    WHOLE(record, device);
    *types = number(record, "events", 0xF);
    return SUCCESS;
}

int nvmlDeviceRegisterEvents(struct handle *device, u64 types, struct event_set *set)
{
    WHOLE(record, device);
    if (types & ~number(record, "events", 0xF))
        return NOT_SUPPORTED;
    if (set->count < 512)
        set->devices[set->count++] = device;
    return SUCCESS;
}

static int take(struct event_set *set, struct event *event)
{
    struct record *first = NULL;
    EACH(record, "event") {
        u64 seq = number(record, "seq", 0);
        if (seq > set->last && (!first || seq < number(first, "seq", 0)))
            first = record;
    }
    if (!first)
        return 0;
    set->last = number(first, "seq", 0);
    for (int i = 0; i < set->count; i++)
        if (is(first, "device", set->devices[i]->uuid)) {
            *event = (struct event){set->devices[i], number(first, "type", 8), number(first, "data", 0), NONE, NONE};
            return 1;
        }
    return take(set, event); /* of a device that nobody asked about */
}

int nvmlEventSetWait_v2(struct event_set *set, struct event *event, u32 milliseconds)
{
    u32 waited = 0;
    for (;;) {
        BEGIN(NULL);
        if (take(set, event))
            return SUCCESS;
        if (waited >= milliseconds)
            return TIMEOUT;
        rest(10);
        waited += 10;
    }
}
