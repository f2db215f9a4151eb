#include <math.h>
#include <stddef.h>

#include "nn/kernels_table.h"
#include "nn/vector_avx512.h"
#include "nn/vector_math.h"

#define PATH(name) name##_avx512

#include "nn/attention_template.h"
