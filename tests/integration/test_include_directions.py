#!/usr/bin/env python3
"""Every `#include "x/y.h"` goes in a direction that ARCHITECTURE.md allows, and each
third-party header is included only in the files that own it."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

ALLOWED = {
    "base": {"base"},
    "text": {"base", "text"},
    "nn": {"base", "nn"},
    "store": {"base", "store"},
    "embed": {"base", "text", "nn", "embed"},
    "retrieve": {"base", "text", "nn", "store", "retrieve"},
    "cache": {"base", "text", "store", "cache"},
    "guard": {"base", "text", "guard"},
    "generate": {"base", "text", "nn", "generate"},
    "eval": {"base", "text", "eval"},
    "daemon": {"base", "text", "nn", "store", "embed", "retrieve", "cache", "guard", "generate",
               "eval", "daemon"},
}

# made by CMake
GENERATED = {"daemon/version.h"}

# third-party header (prefix) -> the files or folders that may include it
OWNED = {
    "cjson/": ["base/json.c"],
    "openssl/": ["base/sha256.c", "store/audit"],
    "cblas.h": ["nn/gemm_fp32.c"],
    "openblas_config.h": ["nn/gemm_fp32.c"],
    "faiss/": ["store/vector_faiss"],
    "curl/": ["base/http_client.c"],
    "utf8proc.h": ["text/", "nn/tokenizer", "embed/sentence_transformers.c", "cache/canonical.c"],
    "xxhash.h": ["text/", "retrieve/", "store/vector_snapshot", "cache/answer_cache_table.c"],
    "sqlite3.h": ["store/"],
    "pcre2.h": ["guard/pattern.c"],
    "gumbo.h": ["embed/extract_html", "embed/html_"],
    "md4c.h": ["embed/extract_markdown.c"],
    "zstd.h": ["eval/"],
    "microhttpd.h": ["daemon/http_"],
    "ini.h": ["daemon/config"],
}


def main():
    wrong = []
    n = 0
    for folder in ALLOWED:
        for path in sorted((ROOT / folder).glob("**/*.[ch]*")):
            name = str(path.relative_to(ROOT))
            for line in path.read_text(encoding="utf-8").splitlines():
                ours = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                theirs = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
                if ours:
                    n += 1
                    target = ours.group(1)
                    if target not in GENERATED and not (ROOT / target).is_file():
                        wrong.append(f'{name}: "{target}" is no path from the root')
                    elif target.split("/")[0] not in ALLOWED[folder]:
                        wrong.append(f'{name}: {folder}/ may not include "{target}"')
                elif theirs:
                    for prefix, owners in OWNED.items():
                        if theirs.group(1).startswith(prefix) and \
                                not any(name.startswith(owner) for owner in owners):
                            wrong.append(f"{name}: <{theirs.group(1)}> belongs to {owners}")
    print("\n".join(wrong))
    print(f"{n} includes read, {len(wrong)} wrong")
    return 1 if wrong or n == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
