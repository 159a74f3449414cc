import { test } from "node:test";
import { openTfjsTrainer } from "../../../connectors/trainer/tfjs.js";
import { nativeAbsence } from "../../../connectors/native-tfjs.js";
import { ARCHITECTURES, examples, near, PREPARATION, trained, trainerConformance } from "../../conformance/trainer.js";

// A process holds one TensorFlow: with GPUs, where there are any.
const backend = nativeAbsence("node-gpu") === null ? "node-gpu" : "node";
const skip = nativeAbsence(backend);
trainerConformance(backend, skip);

test("the native backend trains as the plain one does", { skip: skip ?? false }, async () => {
  for (const architecture of ARCHITECTURES) {
    const probe = examples(20, 2);
    const logits: Float32Array[] = [];
    for (const name of ["cpu", backend] as const) {
      const trainer = await openTfjsTrainer({ backend: name });
      const model = await trained(await trainer.create(architecture, PREPARATION, 4), 10);
      logits.push(await model.logits(probe));
      model.dispose();
    }
    near(logits[0]!, logits[1]!, 1e-4);
  }
});
