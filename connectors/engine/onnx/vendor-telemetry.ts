import { isMainThread } from "node:worker_threads";
import { SluiceError } from "../../../schemas/errors.js";

const SWITCH = "ORT_DISABLE_TELEMETRY";

/**
 * Switches off what onnxruntime 1.30 would otherwise do beside its work: keep a device's id and a queue of events in the home
 * folder, logs in the temporary folder, and send the events to its vendor. The library looks once, when it is loaded, and at
 * the process's own environment: a thread's `process.env` is a copy that the library never sees. So the process's first
 * thread sets it, before it loads the library or starts a worker; a thread makes sure that this was done.
 */
export function switchOffTelemetry(): void {
  if (isMainThread) process.env[SWITCH] = "1";
  else if (process.env[SWITCH] !== "1") {
    throw new SluiceError(
      "E_INTERNAL",
      `Expected ${SWITCH}=1 in a thread that loads onnxruntime, found "${process.env[SWITCH] ?? ""}": set it before the thread is started.`,
    );
  }
}

// On import, so that a module which imports this one first has it done before the library beside it is loaded.
switchOffTelemetry();
