/** Where a bot sits. Claimed in the store by compare-and-set before anything is started there. */
export interface Placement {
  readonly container: string;
  readonly slot: number;
  readonly port: number;
}
