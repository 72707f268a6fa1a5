import Foundation

extension HTMLPage {
  static let style = """
    :root { color-scheme: light dark; --ground: #fbfaf8; --panel: #ffffff; --ink: #1d1d1b;
      --quiet: #63625d; --line: #e2e0da; --eager: #2a78d6; --traced: #1baf7a;
      --faster: #1baf7a; --slower: #d9622b; }
    @media (prefers-color-scheme: dark) { :root { --ground: #161615; --panel: #1f1f1e;
      --ink: #f2f1ee; --quiet: #a9a8a1; --line: #383835; --eager: #3987e5; --traced: #199e70;
      --faster: #199e70; --slower: #d95926; } }
    body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 56rem; background: var(--ground);
      color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
    h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 0; }
    h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
    p { margin: .3rem 0 .8rem; } .quiet, small { color: var(--quiet); font-size: .85rem; }
    section, .tiles > div { background: var(--panel); border: 1px solid var(--line);
      border-radius: 10px; padding: .8rem 1rem; }
    .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem;
      margin: 1.2rem 0; }
    .tiles > div { color: var(--quiet); font-size: .85rem; }
    .tiles b { display: block; color: var(--ink); font-size: 1.6rem; }
    .row, .pair { display: grid; grid-template-columns: minmax(9rem, 17rem) 1fr; gap: 0 .8rem;
      align-items: center; padding: .15rem 0; }
    .row { grid-template-columns: minmax(9rem, 17rem) 1fr 4rem; }
    .pair { padding: .4rem 0; } .pair + .pair { border-top: 1px solid var(--line); }
    .name { font: .85rem ui-monospace, monospace; overflow-wrap: anywhere; }
    .name small { display: block; font: .78rem/1.35 system-ui, sans-serif; }
    .bar { display: grid; grid-template-columns: 1fr 5.5rem; gap: .6rem; align-items: center; }
    .track { position: relative; height: .8rem; }
    .track i { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: 3px; }
    .limit { background: var(--line); border-radius: 3px; }
    .centered::before { content: ""; position: absolute; left: 50%; top: -.25rem; bottom: -.25rem;
      border-left: 1px solid var(--quiet); }
    .value { font-size: .82rem; text-align: right; font-variant-numeric: tabular-nums; }
    .eager { background: var(--eager); } .traced { background: var(--traced); }
    .faster { background: var(--faster); } .slower { background: var(--slower); }
    .legend span { margin-right: 1.2rem; font-size: .85rem; }
    .legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 3px;
      margin-right: .4rem; vertical-align: -.08rem; }
    details { margin-top: 2.5rem; } summary { cursor: pointer; } .wide { overflow-x: auto; }
    table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
    td, th { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
      font-weight: normal; } th:first-child { text-align: left; }
    """
}

/// Text as it may stand between tags and in attributes.
func escaped(_ text: String) -> String {
  text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
    .replacingOccurrences(of: ">", with: "&gt;").replacingOccurrences(of: "\"", with: "&quot;")
}

/// A length for a style sheet.
func percent(_ value: Double) -> String { String(format: "%.2f%%", value) }

/// The natural logarithm, by a name that Duet's own `log` of tensors leaves free.
func logarithm(_ value: Double) -> Double { Foundation.log(value) }
