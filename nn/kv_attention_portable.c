#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_scalar.h"

#define PATH(name) name##_portable

#include "nn/kv_attention_template.h"
