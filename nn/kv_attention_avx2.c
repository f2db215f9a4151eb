#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_avx2.h"
#include "nn/vector_math.h"

#define PATH(name) name##_avx2

#include "nn/kv_attention_template.h"
