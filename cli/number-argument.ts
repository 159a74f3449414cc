import { InvalidArgumentError } from "commander";

/** Parsers for commander: what does not fit is an error that names the option. */

export function positiveNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number above 0.");
}

export function wholeNumber(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("Expected a whole number of at least 0.");
}

export function positiveFraction(text: string): number {
  const value = Number(text);
  if (/^[\d.]/.test(text) && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("Expected a number above 0, such as 0.01.");
}

export function confidenceArgument(text: string): number {
  const value = Number(text);
  if (/^[\d.]/.test(text) && value > 0 && value < 1) return value;
  throw new InvalidArgumentError("Expected a number between 0 and 1, such as 0.95.");
}

export function pointsArgument(text: string): number {
  const value = Number(text);
  if (/^[\d.]/.test(text) && value >= 0 && value <= 100) return value;
  throw new InvalidArgumentError("Expected points of a hundred, such as 5.");
}
