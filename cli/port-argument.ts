import { InvalidArgumentError } from "commander";

/** A TCP port; 0 is any that is free. */
export function portArgument(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new InvalidArgumentError(`Expected a port from 0 to 65535, found "${text}".`);
}
