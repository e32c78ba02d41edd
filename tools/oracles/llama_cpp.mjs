// What llama.cpp makes of a GGUF file: prints one JSON object {ids, out} with the ids of a text (BOS where the file asks for
// it) and the ids that greedy decoding adds. Run by llama_cpp_check.sh. Usage: llama_cpp.mjs FILE.gguf TEXT COUNT
import { getLlama } from "node-llama-cpp";

const [path, text, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 2, logLevel: "error" });
const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
const plain = model.tokenize(text, false);
const ids = model.tokens.shouldPrependBosToken ? [model.tokens.bos, ...plain] : plain;
const context = await model.createContext({ contextSize: ids.length + count + 8 });
const out = [];
for await (const token of context.getSequence().evaluate(ids, { temperature: 0 })) {
  out.push(token);
  if (out.length >= count) break;
}
console.log(JSON.stringify({ ids, out }));
process.exit(0);
