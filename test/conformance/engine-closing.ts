// Run by the engine's conformance suite as a process of its own: opens an engine, closes it under way, and then has
// nothing left to do. Arguments: the teacher's folder, the engine's configuration as JSON.
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { engineSchema } from "../../schemas/config.js";
import { SluiceError } from "../../schemas/errors.js";
import { pixelBytes } from "../../schemas/pixels.js";

const [folder = "", config = "{}"] = process.argv.slice(2);
const teacher = await loadTeacher(folder);
const engine = await openEngine(teacher, engineSchema.parse(JSON.parse(config)));
const count = engine.info.batch;
const batch = { count, pixels: new Uint8Array(count * pixelBytes(teacher.card.input)) };
const running = engine.score(batch);
const closing = engine.close();
const late = await engine.score(batch).then(
  () => "scored",
  (error: unknown) => (error instanceof SluiceError ? error.code : String(error)),
);
await closing;
console.log(JSON.stringify({ running: (await running).length, late }));
