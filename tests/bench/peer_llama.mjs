// peer_llama.mjs FILE.gguf WORKLOADS THREADS - llama.cpp, asked line by line.
//
//   run GRAPH MODE WORKLOAD   one pass over the first quarter of the workload's texts, one after
//                             another, as node-llama-cpp's embedding context does it; GRAPH is
//                             not used, MODE is batchN: the batch size in tokens. The first pass
//                             is preceded by an unmeasured one. Answers {"wall_s","cpu_s","tokens"}
//   vectors GRAPH MODE WORKLOAD   the mean vectors of all its texts
//
// Node finds node-llama-cpp through PEERS, the folder that holds node_modules.
import {createRequire} from "node:module";
import {readFileSync} from "node:fs";
import {createInterface} from "node:readline";
import path from "node:path";
import {pathToFileURL} from "node:url";

const require = createRequire(path.join(process.env.PEERS, "anchor.js"));
const {getLlama} = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);
const [file, workloadsFile, threads] = process.argv.slice(2);
const workloads = JSON.parse(readFileSync(workloadsFile, "utf8"));
const llama = await getLlama({gpu: false, build: "never", logLevel: "error",
    maxThreads: Number(threads)});
const model = await llama.loadModel({modelPath: file});
const contexts = new Map();

async function context(mode) {
    if (!contexts.has(mode)) {
        const batchSize = Number(/^batch(\d+)$/.exec(mode)[1]);
        contexts.set(mode, await model.createEmbeddingContext({contextSize: 520, batchSize,
            threads: Number(threads)}));
    }
    return contexts.get(mode);
}

const warm = new Set();
async function pass(mode, texts) {
    const c = await context(mode);
    const ret = [];
    for (const text of texts)
        ret.push((await c.getEmbeddingFor([...text.ids])).vector);
    return ret;
}

async function run(mode, workload) {
    const texts = workloads[workload].slice(0, Math.ceil(workloads[workload].length / 4));
    if (!warm.has(mode + workload)) {
        warm.add(mode + workload);
        await pass(mode, texts);
    }
    const cpu = process.cpuUsage();
    const begun = process.hrtime.bigint();
    await pass(mode, texts);
    const wall = Number(process.hrtime.bigint() - begun) / 1e9;
    const used = process.cpuUsage(cpu);
    const tokens = texts.reduce((sum, text) => sum + text.ids.length, 0);
    return {wall_s: wall, cpu_s: (used.user + used.system) / 1e6, tokens};
}

for await (const line of createInterface({input: process.stdin})) {
    const [verb, , mode, workload] = line.trim().split(/\s+/);
    try {
        const reply = verb === "vectors" ? {vectors: await pass(mode, workloads[workload])}
            : await run(mode, workload);
        console.log(JSON.stringify(reply));
    } catch (error) {
        console.log(JSON.stringify({error: String(error.message ?? error)}));
    }
}
