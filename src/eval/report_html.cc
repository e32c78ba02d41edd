// The report card as one self-contained page.
#include <fmt/format.h>

#include "eval/report.h"

namespace nla {
namespace {

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string Row(const std::string& name, const FveSummary& s) {
  return fmt::format(
      "<tr><td>{}</td><td>{:.3f}</td><td>{:.3f} … {:.3f}</td><td>{:.3f}</td><td>{:.3f}</td><td>{:.4f}</td></tr>\n",
      name, s.fve_raw_variance, s.fve_raw_variance_interval.low, s.fve_raw_variance_interval.high, s.fve_mean_norm,
      s.cosine_mean, s.mse);
}

}  // namespace

std::string ReportHtml(const ReportCard& card, const std::string& pair, const std::string& dataset) {
  std::string page = fmt::format(
      "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Report card of {0}</title>\n"
      "<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}"
      "table{{border-collapse:collapse}}td,th{{border:1px solid #bbb;padding:.3rem .6rem;text-align:left;"
      "vertical-align:top;white-space:pre-wrap}}</style>\n"
      "<h1>Report card</h1><p>Pair {0} on {1} held-out rows of {2}. Extraction rate {3:.3f}; {4:.1f} tokens a "
      "reply.</p>\n"
      "<table><tr><th></th><th>FVE (raw variance)</th><th>95% interval</th><th>FVE (mean norm)</th><th>cosine</th>"
      "<th>mse</th></tr>\n",
      Escaped(pair), card.round_trip.n, Escaped(dataset), card.extraction_rate, card.tokens_mean);
  page += Row("round trip", card.round_trip);
  if (card.label) page += Row("labels read by the reconstructor", *card.label);
  if (card.language) {
    const Retention& retention = card.language->retention;
    page += Row("three quarters of the words", retention.truncated);
    page += Row(fmt::format("{:.0f} % of the words as synonyms", 100 * retention.words_reworded), retention.reworded);
  }
  page += Row("floor: another row's explanation", card.shuffled);
  page += Row("floor: reply to a zero vector", card.zero);
  page += Row("floor: empty text", card.empty);
  page += "</table>\n";
  if (card.language && card.language->perplexity) {
    page += fmt::format("<p>Perplexity of the explanations by the base model: {:.1f}", *card.language->perplexity);
    if (card.language->label_perplexity)
      page += fmt::format("; of the labels: {:.1f}", *card.language->label_perplexity);
    page += ".</p>\n";
  }
  page += "<h2>Examples</h2>\n<table><tr><th>text up to the token</th><th>explanation</th><th>cosine</th></tr>\n";
  for (const ReportExample& example : card.examples) {
    page += fmt::format("<tr><td>{}</td><td>{}</td><td>{:.3f}</td></tr>\n", Escaped(example.text),
                        Escaped(example.explanation), example.cosine);
  }
  return page + "</table></html>\n";
}

}  // namespace nla
