/** What a shell says of a process that a signal has ended */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** How often a process that npm has started looks whether its parent is still there */
const PARENT_LOOK_MS = 300;

// Loading this module sets up what follows, before the modules after it load.

let isSignalled = false;

// A signal that comes while nothing else listens for it ends the process: before a command's work begins, and in commands that are done
// at once. Without a listener the first process of a container would get no signal at all.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    isSignalled = true;
    if (process.listenerCount(signal) === 1) process.exit(EXIT_CODES[signal]);
  });
}

// `npx sluice` and `npm start` put a shell between npm and this process. npm passes a SIGTERM on to that shell, which dies of it and tells
// nobody. A process whose shell is gone takes that for the signal.
if (["exec", "start"].includes(process.env["npm_command"] ?? "")) {
  const shell = process.ppid;
  const looks = setInterval(() => {
    if (process.ppid === shell) return;
    clearInterval(looks);
    if (!isSignalled) process.kill(process.pid, "SIGTERM");
  }, PARENT_LOOK_MS);
  looks.unref();
}
