// The official client of the Model Context Protocol against 'ragctl mcp'; run by test_mcp_sdk.py.
//   node mcp_sdk_client.mjs SDK_FOLDER RAGCTL SOCKET
import { createRequire } from "node:module";
import { strict as assert } from "node:assert";

const [, , folder, ragctl, socket] = process.argv;
const require = createRequire(folder + "/");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");

const client = new Client({ name: "ragd-test", version: "1" });
await client.connect(new StdioClientTransport({
  command: ragctl, args: ["mcp", "--write", "--socket", socket],
}));
const checks = [];
const check = (name, condition) => { assert.ok(condition, name); checks.push(name); };

check("server", client.getServerVersion().name === "ragd" && client.getInstructions().length > 0);
await client.ping();
const { tools } = await client.listTools();
check("tools", tools.length === 7);
const call = async (name, args) => {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError, JSON.stringify(result));
  return result.structuredContent; // the client has checked it against the tool's outputSchema
};
check("put_document", (await call("put_document", {
  collection: "handbook", document: "규정/연차.md", type: "text/markdown",
  text: "# 휴가\n\n연차는 1년에 15일이다.", metadata: { year: 2026 },
})).created);
check("list_collections", (await call("list_collections", {})).collections[0].documents === 1);
check("list_documents",
  (await call("list_documents", { collection: "handbook" })).documents[0].document === "규정/연차.md");
check("get_document", (await call("get_document", {
  collection: "handbook", document: "규정/연차.md" })).text.includes("15일"));
check("search", (await call("search", {
  collection: "handbook", query: "연차", filter: { year: 2026 } })).results.length === 1);
const progress = [];
const asked = await client.callTool(
  { name: "ask", arguments: { collection: "handbook", question: "연차는 며칠인가요?" } },
  undefined, { onprogress: (p) => progress.push(p) });
check("ask", asked.structuredContent.answer.includes("15일"));
// The client drops progress that it reads in one go with the result; test_mcp.py counts it.
check("progress", progress.every((p, i) => i === 0 || p.progress > progress[i - 1].progress));
const refused = await call("ask", { collection: "handbook", question: "달의 무게는 얼마인가요?" });
check("refusal", refused.refused);
const failed = await client.callTool({ name: "search", arguments: { collection: "none", query: "x" } });
check("tool error", failed.isError && failed.content[0].text.includes("none"));
await assert.rejects(client.callTool({ name: "search", arguments: {} }), (e) => e.code === -32602);
checks.push("protocol error");
const { resources } = await client.listResources();
const read = await client.readResource({ uri: resources[0].uri });
check("resources", read.contents[0].text.includes("15일"));
check("templates", (await client.listResourceTemplates()).resourceTemplates.length === 1);
check("delete_document",
  (await call("delete_document", { collection: "handbook", document: "규정/연차.md" })).deleted);
await client.close();
console.log(JSON.stringify({ checks }));
