import { isSluiceError } from "../../../schemas/errors.js";

/** What onnxruntime, TensorFlow, CUDA's libraries, WebAssembly and V8 say when memory is short. */
const SIGNS =
  /out of memory|out_of_memory|\bOOM\b|bad_alloc|failed to allocate|allocation failed|could not allocate|resource.?exhausted|ALLOC_FAILED|smaller than requested bytes|cannot enlarge memory/i;

/**
 * Whether a batch failed for lack of memory: an exception that says so, or a worker that ended having said so. SIGKILL is what
 * the system's own guard against full memory sends.
 */
export function isOutOfMemory(error: unknown): boolean {
  if (isSluiceError(error, "E_ENGINE_RUN")) return SIGNS.test(error.message);
  if (!isSluiceError(error, "E_ENGINE_CRASH")) return false;
  const { workerSaid } = error.context;
  return (
    SIGNS.test(error.message) ||
    error.message.includes("was ended by SIGKILL") ||
    (typeof workerSaid === "string" && SIGNS.test(workerSaid))
  );
}
