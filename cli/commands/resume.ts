import { controlCommand } from "../flow-control.js";

export const declare = controlCommand("run", "Lets the processes that `sluice pause` holds go on.", [
  ["sluice resume", "goes on where it was"],
]);
