/** The greatest of the versions that are there before another one: those between may have been deleted. null: none is. */
export function versionBefore(numbers: readonly number[], number: number): number | null {
  const earlier = numbers.filter((one) => one < number);
  return earlier.length === 0 ? null : Math.max(...earlier);
}
