#!/usr/bin/env python3
"""ragctl mcp against the official client and inspector from npm, where they are there.

    RAGD_MCP_SDK=FOLDER test_mcp_sdk.py BUILD_DIR

FOLDER is where 'npm install @modelcontextprotocol/sdk @modelcontextprotocol/inspector' was run."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from ragd_process import Ragd  # noqa: E402

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path("build/release")
SCRIPT = pathlib.Path(__file__).resolve().parent / "mcp_sdk_client.mjs"


def run(*command):
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120,
                            check=False)
    if result.returncode != 0:
        print(f"FAILED: {' '.join(str(c) for c in command)}\n{result.stdout}{result.stderr}")
        sys.exit(1)
    return json.loads(result.stdout)


def inspect(folder, ragd):
    inspector = folder / "node_modules" / ".bin" / "mcp-inspector"
    if not inspector.exists():
        print(f"skipped: no inspector in '{folder}'")
        return
    base = [inspector, "--cli", BUILD.resolve() / "ragctl", "mcp", "--write", "--socket", ragd.socket]
    tools = run(*base, "--method", "tools/list")["tools"]
    called = run(*base, "--method", "tools/call", "--tool-name", "put_document", "--tool-arg",
                 "collection=handbook", "document=a.txt", "text=연차는 15일이다.")
    found = run(*base, "--method", "tools/call", "--tool-name", "search", "--tool-arg",
                "collection=handbook", "query=연차", "top_k=3")
    resources = run(*base, "--method", "resources/list")["resources"]
    assert len(tools) == 7 and called["structuredContent"]["created"], called
    assert found["structuredContent"]["results"][0]["document"] == "a.txt", found
    assert resources[0]["uri"] == "ragd://handbook/a.txt", resources
    print("inspector: tools/list, tools/call, resources/list")


def main():
    folder = pathlib.Path(os.environ.get("RAGD_MCP_SDK", ""))
    if not shutil.which("node") or not (folder / "node_modules/@modelcontextprotocol/sdk").is_dir():
        print("skipped: RAGD_MCP_SDK names no folder with @modelcontextprotocol/sdk, or no node")
        return 0
    with Ragd(BUILD) as ragd:
        ragd.call("PUT", "/v1/collections/handbook", {})
        print("client:", ", ".join(run("node", SCRIPT, folder, BUILD.resolve() / "ragctl",
                                       ragd.socket)["checks"]))
        inspect(folder, ragd)
    return 0


sys.exit(main())
