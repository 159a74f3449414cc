import { makeFixture } from "./make-fixture.js";

// What hidden blocks call that a shell must read.
if (!(await makeFixture(process.argv.slice(2), process.cwd()))) {
  process.stderr.write(
    "expected: fixtures pictures <folder> | fixtures model <file.onnx> [seed] | fixtures digits <folder>\n",
  );
  process.exitCode = 64;
}
