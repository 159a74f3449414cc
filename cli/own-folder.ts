import { isSluiceError, SluiceError } from "../schemas/errors.js";

/** Processes of which a stream may have several: by what another data folder of theirs is called in advice */
const ADVICE = {
  scorer: "Each scorer needs a data folder of its own: --data scorer-2.",
  replay: "Each process that scores needs a data folder of its own: --data replay-2.",
  gateway: "Each gateway on Kafka needs a data folder of its own: --data gateway-2.",
} as const;

/** The data folder of a process that shares its stream with others like it, and not the folder. Throws E_LOCKED that says how two of them work beside each other. */
export async function inOwnFolder<T>(opening: Promise<T>, process: keyof typeof ADVICE): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (!isSluiceError(error, "E_LOCKED")) throw error;
    throw new SluiceError("E_LOCKED", `${error.message} ${ADVICE[process]}`, { ...error.context, cause: error });
  }
}
