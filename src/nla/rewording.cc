// Truncation by words, and a list of near synonyms.
#include "nla/rewording.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/ascii.h"

namespace nla {
namespace {

// Each word stands once, so that swapping is its own inverse. The first lines are what labels by rule are framed with.
constexpr std::string_view kPairs[][2] = {
    {"ends", "finishes"},
    {"after", "following"},
    {"before", "preceding"},
    {"about", "concerning"},
    {"period", "stop"},
    {"quote", "quotation"},
    {"begin", "start"},
    {"begins", "starts"},
    {"began", "started"},
    {"beginning", "starting"},
    {"big", "large"},
    {"bigger", "larger"},
    {"small", "little"},
    {"smaller", "lesser"},
    {"quick", "fast"},
    {"quickly", "rapidly"},
    {"clever", "smart"},
    {"happy", "glad"},
    {"sad", "unhappy"},
    {"angry", "furious"},
    {"help", "assist"},
    {"helps", "assists"},
    {"helped", "assisted"},
    {"helping", "assisting"},
    {"buy", "purchase"},
    {"bought", "purchased"},
    {"get", "obtain"},
    {"got", "obtained"},
    {"show", "display"},
    {"shows", "displays"},
    {"showed", "displayed"},
    {"shown", "demonstrated"},
    {"make", "create"},
    {"makes", "creates"},
    {"made", "created"},
    {"making", "creating"},
    {"use", "employ"},
    {"uses", "employs"},
    {"used", "employed"},
    {"using", "employing"},
    {"need", "require"},
    {"needs", "requires"},
    {"needed", "required"},
    {"want", "desire"},
    {"wants", "desires"},
    {"wanted", "desired"},
    {"think", "believe"},
    {"thinks", "believes"},
    {"thought", "believed"},
    {"say", "state"},
    {"said", "stated"},
    {"says", "states"},
    {"tell", "inform"},
    {"told", "informed"},
    {"ask", "inquire"},
    {"asked", "inquired"},
    {"answer", "reply"},
    {"answers", "replies"},
    {"speak", "talk"},
    {"speaks", "talks"},
    {"speaking", "talking"},
    {"give", "provide"},
    {"gives", "provides"},
    {"gave", "provided"},
    {"giving", "providing"},
    {"keep", "retain"},
    {"keeps", "retains"},
    {"kept", "retained"},
    {"look", "appear"},
    {"looks", "appears"},
    {"looked", "appeared"},
    {"allow", "permit"},
    {"allows", "permits"},
    {"allowed", "permitted"},
    {"choose", "select"},
    {"chosen", "selected"},
    {"build", "construct"},
    {"built", "constructed"},
    {"building", "constructing"},
    {"fix", "repair"},
    {"fixed", "repaired"},
    {"change", "alter"},
    {"changes", "alters"},
    {"changed", "altered"},
    {"grow", "increase"},
    {"grows", "increases"},
    {"growing", "increasing"},
    {"improve", "enhance"},
    {"improved", "enhanced"},
    {"ensure", "guarantee"},
    {"include", "contain"},
    {"includes", "contains"},
    {"including", "containing"},
    {"explain", "clarify"},
    {"understand", "comprehend"},
    {"understanding", "comprehension"},
    {"learn", "study"},
    {"learned", "studied"},
    {"learning", "studying"},
    {"important", "significant"},
    {"importance", "significance"},
    {"many", "numerous"},
    {"several", "various"},
    {"different", "distinct"},
    {"similar", "alike"},
    {"main", "primary"},
    {"whole", "entire"},
    {"near", "close"},
    {"easy", "simple"},
    {"easily", "simply"},
    {"hard", "difficult"},
    {"strong", "powerful"},
    {"beautiful", "lovely"},
    {"common", "usual"},
    {"commonly", "usually"},
    {"often", "frequently"},
    {"always", "constantly"},
    {"maybe", "perhaps"},
    {"very", "extremely"},
    {"almost", "nearly"},
    {"also", "additionally"},
    {"but", "yet"},
    {"however", "nevertheless"},
    {"because", "since"},
    {"while", "whilst"},
    {"so", "thus"},
    {"until", "till"},
    {"among", "amongst"},
    {"toward", "towards"},
    {"upon", "onto"},
    {"idea", "notion"},
    {"ideas", "notions"},
    {"problem", "difficulty"},
    {"problems", "difficulties"},
    {"job", "occupation"},
    {"work", "labor"},
    {"child", "kid"},
    {"children", "kids"},
    {"person", "individual"},
    {"people", "persons"},
    {"man", "gentleman"},
    {"men", "gentlemen"},
    {"woman", "lady"},
    {"women", "ladies"},
    {"house", "home"},
    {"houses", "homes"},
    {"town", "village"},
    {"street", "road"},
    {"car", "automobile"},
    {"story", "tale"},
    {"stories", "tales"},
    {"picture", "image"},
    {"pictures", "images"},
    {"goal", "aim"},
    {"goals", "aims"},
    {"method", "technique"},
    {"methods", "techniques"},
    {"area", "region"},
    {"areas", "regions"},
    {"government", "administration"},
    {"law", "statute"},
    {"laws", "statutes"},
    {"country", "nation"},
    {"countries", "nations"},
    {"war", "conflict"},
    {"error", "mistake"},
    {"errors", "mistakes"},
    {"doctor", "physician"},
    {"illness", "disease"},
    {"sea", "ocean"},
    {"ship", "vessel"},
    {"forest", "woods"},
    {"rock", "stone"},
    {"rich", "wealthy"},
    {"poor", "needy"},
    {"old", "aged"},
    {"new", "novel"},
    {"good", "fine"},
    {"great", "grand"},
    {"bad", "awful"},
};

const std::unordered_map<std::string_view, std::string_view>& Synonyms() {
  static const auto synonyms = [] {
    std::unordered_map<std::string_view, std::string_view> map;
    for (const auto& [one, other] : kPairs) {
      map.emplace(one, other);
      map.emplace(other, one);
    }
    return map;
  }();
  return synonyms;
}

// lower, Capital or CAPITALS, as the word is; empty for a mixture and for words without a synonym.
std::string SynonymOf(std::string_view word) {
  std::string lower(word);
  std::transform(lower.begin(), lower.end(), lower.begin(), AsciiLower);
  const auto found = Synonyms().find(lower);
  if (found == Synonyms().end()) return "";
  std::string synonym(found->second);
  const auto capitals = std::count_if(word.begin(), word.end(), IsAsciiUpper);
  if (capitals == 0) return synonym;
  if (capitals == static_cast<int64_t>(word.size())) {
    std::transform(synonym.begin(), synonym.end(), synonym.begin(), AsciiUpper);
    return synonym;
  }
  if (capitals > 1 || !IsAsciiUpper(word[0])) return "";
  synonym[0] = AsciiUpper(synonym[0]);
  return synonym;
}

}  // namespace

std::string FirstWords(const std::string& text, double share) {
  std::vector<size_t> ends;  // of the words
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_space = [&](size_t at) { return at >= text.size() || text[at] == ' ' || text[at] == '\n'; };
    if (!is_space(i) && is_space(i + 1)) ends.push_back(i + 1);
  }
  const auto kept = static_cast<size_t>(std::ceil(share * static_cast<double>(ends.size())));
  return kept == 0 ? "" : text.substr(0, ends[std::min(kept, ends.size()) - 1]);
}

Paraphrase Reword(const std::string& text) {
  Paraphrase out;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    while (end < text.size() && IsAsciiLetter(text[end])) ++end;
    if (end == begin) {
      out.text += text[begin++];
      continue;
    }
    const std::string_view word(text.data() + begin, end - begin);
    const std::string synonym = SynonymOf(word);
    ++out.words;
    out.reworded += synonym.empty() ? 0 : 1;
    out.text += synonym.empty() ? word : synonym;
    begin = end;
  }
  return out;
}

Retellings Retell(std::span<const std::string> explanations) {
  Retellings all;
  for (const std::string& explanation : explanations) {
    all.beginnings.push_back(FirstWords(explanation, kKeptWords));
    Paraphrase paraphrase = Reword(explanation);
    all.words += paraphrase.words;
    all.reworded += paraphrase.reworded;
    all.paraphrases.push_back(std::move(paraphrase.text));
  }
  return all;
}

}  // namespace nla
