/** Which class of the model each class of a labelled set is, and what tells so. */
export interface LabelOrder {
  readonly name: string;
  /** Names of the model's classes, where this reading gives them */
  readonly labels: readonly string[] | null;
  /** The model's class of each of the set's, [set's classes] */
  readonly classes: readonly number[];
}

/**
 * The plausible orders of a labelled set's classes where their names are none of the model's: `names` by code points, as ImageFolder has them, by their
 * numbers, without regard to case, as they come; behind a background class where the model has one class more. None where the numbers of classes differ.
 */
export function labelOrders(names: readonly string[], classCount: number): LabelOrder[] {
  const background = classCount - names.length;
  if (background !== 0 && background !== 1) return [];
  const sorted = (compare: (a: string, b: string) => number): string[] => [...names].sort(compare);
  const number = (text: string): number => Number(/\d+/.exec(text)?.[0] ?? Number.POSITIVE_INFINITY);
  const orders: readonly (readonly [string, readonly string[]])[] = [
    ["by code points (ImageFolder)", sorted(byCodePoints)],
    ["by their numbers", sorted((a, b) => number(a) - number(b) || byCodePoints(a, b))],
    ["by letters of either case", sorted((a, b) => byCodePoints(a.toLowerCase(), b.toLowerCase()))],
    ["as they come", names],
  ];
  const seen = new Set<string>();
  return orders.flatMap(([name, order]): LabelOrder[] => {
    const key = JSON.stringify(order);
    if (seen.has(key)) return [];
    seen.add(key);
    return [
      {
        name: background === 1 ? `a background class, then ${name}` : name,
        labels: background === 1 ? ["background", ...order] : order,
        classes: names.map((one) => order.indexOf(one) + background),
      },
    ];
  });
}

/** As Python orders strings: UTF-16 units would put what lies beyond the first 65,536 characters before U+E000. */
export function byCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
