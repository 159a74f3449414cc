// The program of an engine worker.
import { loadRunner } from "./load-runner.js";
import { serveAsWorker } from "./worker-program.js";

serveAsWorker(loadRunner);
