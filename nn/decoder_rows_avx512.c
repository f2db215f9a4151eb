#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nn/kernels_table.h"
#include "nn/vector_avx512.h"
#include "nn/vector_math.h"

#define PATH(name) name##_avx512

#include "nn/decoder_rows_template.h"
