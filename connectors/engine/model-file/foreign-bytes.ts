/** What lies in a file that is no model of ours, and what to do about it; told by its first bytes. */
interface ForeignBytes {
  readonly starts: (head: Uint8Array, text: string) => boolean;
  readonly said: string;
}

const startsWith = (head: Uint8Array, ...bytes: readonly number[]): boolean =>
  bytes.every((byte, at) => head[at] === byte);

const TORCH = "load the model in PyTorch and write it with torch.onnx.export";

const KINDS: readonly ForeignBytes[] = [
  { starts: (head) => head.length === 0, said: "an empty file: copy the model again" },
  {
    starts: (_, text) => text.startsWith("version https://git-lfs.github.com/"),
    said: "a pointer of git-lfs in place of the file: fetch the file itself with `git lfs pull`",
  },
  {
    starts: (_, text) => /^\s*<(!doctype|html|\?xml)/i.test(text),
    said: "a web page (HTML or XML) in place of the model: download the file itself, not the page that shows it",
  },
  {
    starts: (head) => startsWith(head, 0x89, 0x48, 0x44, 0x46),
    said: "an HDF5 file (Keras .h5): in Keras write model.export(<folder>), a SavedModel, or convert it with tensorflowjs_converter",
  },
  {
    starts: (head, text) => startsWith(head, 0x50, 0x4b) && text.includes("metadata.json"),
    said: "a .keras file: in Keras write model.export(<folder>), a SavedModel, or convert it with tensorflowjs_converter",
  },
  {
    starts: (head) => startsWith(head, 0x50, 0x4b, 3, 4),
    said: `a zip archive, as torch.save writes it: ${TORCH}; any other archive: unpack it`,
  },
  { starts: (head) => startsWith(head, 0x1f, 0x8b), said: "a gzip archive: unpack it" },
  {
    starts: (head) => startsWith(head, 0x80) && head[1] !== undefined && head[1] >= 2 && head[1] <= 5,
    said: `a Python pickle (torch.save, joblib), which is never loaded: ${TORCH}, or with skl2onnx`,
  },
  {
    starts: (head, text) => head[8] === 0x7b && /^"/.test(text.slice(9).trimStart()) && head[7] === 0,
    said: `safetensors, weights without their model: ${TORCH}`,
  },
  {
    starts: (_, text) => text.slice(4, 8) === "TFL3",
    said: "a TensorFlow Lite file: export the model that it was made of as a SavedModel or as ONNX",
  },
  {
    starts: (_, text) => text.slice(4, 8) === "ORTM",
    said: "onnxruntime's own .ort format: use the .onnx file that it was made of",
  },
  { starts: (_, text) => text.startsWith("GGUF"), said: `a GGUF file, weights without their model: ${TORCH}` },
  { starts: (_, text) => /^\s*[{[]/.test(text), said: "JSON: give a TensorFlow.js model as its model.json" },
];

/** Bytes that `foreignBytes` looks at */
export const HEAD_BYTES = 512;

/** In words what a file is that begins with `head`, and what to do; null where nothing is known of it. */
export function foreignBytes(head: Uint8Array): string | null {
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1");
  return KINDS.find(({ starts }) => starts(head, text))?.said ?? null;
}
