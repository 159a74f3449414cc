import type { SluiceError } from "../../../schemas/errors.js";
import { packageVersion } from "../backends.js";
import { loadFailure } from "../pool/model-runner.js";

/** What onnxruntime says of models that are newer than itself, or that use operators of somebody's own. */
const KINDS: readonly (readonly [RegExp, (match: RegExpExecArray, version: string) => string])[] = [
  [
    /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    ([, found, most], version) =>
      `its IR version is ${found}, and onnxruntime-node ${version} reads up to ${most}. Export it for an older one (onnx.save after model.ir_version = ${most}), or update Sluice`,
  ],
  [
    /Opset (\d+) is under development.*?domain ([\w.]+) is till opset (\d+)/s,
    ([, found, domain, most], version) =>
      `it was exported for opset ${found} of ${domain}, and onnxruntime-node ${version} reads up to ${most}. Export it with opset_version=${most} or less, or update Sluice`,
  ],
  [
    /([\w.]*\.[\w.]*|[\w.]+):(\w+)\(-?\d+\) is not a registered function\/op/,
    ([, domain, op], version) =>
      domain === "ai.onnx"
        ? `its operator ${op} is none of onnxruntime-node ${version}. Export it with the standard's operators`
        : `its operator ${op} is one of ${domain}, which is no part of onnxruntime-node ${version}. Export it with the standard's operators alone`,
  ],
];

/** E_ENGINE_LOAD with what is wrong and what to do, where the library's words tell. */
export function onnxLoadFailure(path: string, cause: unknown): SluiceError {
  const said = cause instanceof Error ? cause.message : String(cause);
  const version = packageVersion("onnxruntime-node");
  for (const [pattern, words] of KINDS) {
    const match = pattern.exec(said);
    if (match !== null) return loadFailure({ format: "onnx" }, path, new Error(`${words(match, version)}.`, { cause }));
  }
  return loadFailure({ format: "onnx" }, path, cause);
}
