// peer_llama_decoder.mjs FILE.gguf THREADS CONTEXT_TOKENS - llama.cpp's decoder, asked line by line.
//
//   prefill MODE N            from an empty context to the first token that follows N: its logits
//                             are computed and it is chosen
//   decode MODE DEPTH N       N tokens, each the likeliest after those before, behind DEPTH tokens
//                             (which stay from one such line to the next)
//   batch MODE STREAMS N      N tokens of each of STREAMS sequences at once
//   top MODE N                the likeliest 50 tokens after N tokens, and ln p of each
//   info                      llama.cpp's own words about what it uses
//
// MODE is flash|plain and the batch size in tokens: flash512. Answers {"wall_s","cpu_s","tokens"}
// and rss_bytes. Node finds node-llama-cpp through PEERS, the folder that holds node_modules.
import {createRequire} from "node:module";
import {createInterface} from "node:readline";
import {readFileSync} from "node:fs";
import path from "node:path";
import {pathToFileURL} from "node:url";

const require = createRequire(path.join(process.env.PEERS, "anchor.js"));
const {getLlama} = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);
const [file, threads, contextSize] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", logLevel: "error",
    maxThreads: Number(threads)});
const model = await llama.loadModel({modelPath: file, useMmap: true});
const vocabulary = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
let current = null;

// The same ids as bench_decoder.c: any but the first 300, which are special tokens and bytes.
function ids(n, stream = 0) {
    return Array.from({length: n}, (_, i) =>
        300 + (i * 7919 + stream * 104729 + 12345) % (vocabulary - 300));
}

async function context(mode, sequences = 1) {
    const key = `${mode} ${sequences}`;
    if (current?.key !== key) {
        await current?.context.dispose();
        const [, flash, batchSize] = /^(flash|plain)(\d+)$/.exec(mode);
        const made = await model.createContext({contextSize: Number(contextSize), sequences,
            batchSize: Number(batchSize), flashAttention: flash === "flash",
            threads: Number(threads), ignoreMemorySafetyChecks: true});
        current = {key, context: made, depth: 0,
            sequences: Array.from({length: sequences}, () => made.getSequence())};
    }
    return current;
}

// N tokens of a sequence after FIRST; calls started() when the first of them is there.
async function generate(sequence, first, n, started = () => undefined) {
    const tokens = [];
    for await (const token of sequence.evaluate(first, {temperature: 0, yieldEogToken: true})) {
        if (tokens.push(token) === 1)
            started();
        if (tokens.length >= n)
            break;
    }
    return tokens;
}

async function timed(work) {
    const cpu = process.cpuUsage();
    const begun = process.hrtime.bigint();
    const tokens = await work();
    const wall = Number(process.hrtime.bigint() - begun) / 1e9;
    const used = process.cpuUsage(cpu);
    const status = readFileSync("/proc/self/status", "utf8");
    return {wall_s: wall, cpu_s: (used.user + used.system) / 1e6, tokens,
        rss_bytes: 1024 * Number(/VmRSS:\s*(\d+)/.exec(status)[1])};
}

async function prefill(mode, n) {
    const {sequences: [sequence]} = await context(mode);
    current.depth = 0;
    await sequence.clearHistory();
    return timed(async () => {
        await generate(sequence, ids(n), 1);
        return n;
    });
}

async function decode(mode, depth, n) {
    const {sequences: [sequence]} = await context(mode);
    if (current.depth !== depth) {
        await sequence.clearHistory();
        await sequence.evaluateWithoutGeneratingNewTokens(ids(depth));
        current.depth = depth;
    } else {
        await sequence.eraseContextTokenRanges([{start: depth, end: sequence.nextTokenIndex}]);
    }
    return timed(async () => (await generate(sequence, ids(1, 1), n)).length);
}

async function batch(mode, streams, n) {
    const {sequences} = await context(mode, streams);
    for (const [i, sequence] of sequences.entries()) {
        await sequence.clearHistory();
        await sequence.evaluateWithoutGeneratingNewTokens(ids(16, i));
    }
    return timed(async () => (await Promise.all(sequences.map((sequence, i) =>
        generate(sequence, ids(1, i), n)))).flat().length);
}

async function top(mode, n) {
    const {sequences: [sequence]} = await context(mode);
    current.depth = 0;
    await sequence.clearHistory();
    for await (const {probabilities} of sequence.evaluateWithMetadata(ids(n),
        {probabilities: true}, {temperature: 1, topK: vocabulary, topP: 1, yieldEogToken: true}))
        return {top: [...probabilities].sort((a, b) => b[1] - a[1]).slice(0, 50)
            .map(([token, p]) => [token, Math.log(p)])};
}

async function info() {
    return {system: llama.systemInfo, release: llama.llamaCppRelease.release};
}

const verbs = {prefill, decode, batch, top, info};
for await (const line of createInterface({input: process.stdin})) {
    const [verb, mode, ...numbers] = line.trim().split(/\s+/);
    try {
        console.log(JSON.stringify(await verbs[verb](mode, ...numbers.map(Number))));
    } catch (error) {
        console.log(JSON.stringify({error: String(error.stack ?? error)}));
    }
}
