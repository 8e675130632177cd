#include "lb/config/schema.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lb/config/keys.h"
#include "lb/config/value_types.h"

namespace weir {
namespace {

using Json = nlohmann::ordered_json;

/// A string with a variable in it may be anything.
constexpr std::string_view kVariable = R"(\$\{)";

Json string_schema(const std::string& pattern) {
  Json schema{{"type", "string"}};
  if (!pattern.empty()) schema["pattern"] = fmt::format("^(?:{})$|{}", pattern, kVariable);
  return schema;
}

Json one_of_words(std::span<const std::string_view> words) {
  return {{"anyOf", {{{"enum", words}}, {{"type", "string"}, {"pattern", kVariable}}}}};
}

Json table_schema(const TableKeys& table, const KnownKinds& kinds);

Json single(const Key& key, const TableKeys& table, const KnownKinds& kinds) {
  const Value& value = key.value;
  switch (value.type) {
    case ValueType::Integer:
      return {{"type", "integer"}, {"minimum", value.least}, {"maximum", value.most}};
    case ValueType::Boolean:
      return {{"type", "boolean"}};
    case ValueType::Bound:
      return {{"anyOf",
               {{{"const", 0}}, {{"type", "number"}, {"minimum", kLeastBound}, {"maximum", kMostBound}}}}};
    case ValueType::Word:
    case ValueType::Balancer:
    case ValueType::Probe:
      return one_of_words(words_of(value, kinds));
    case ValueType::Table:
      return table_schema(*table_below(table, key.name), kinds);
    case ValueType::Tables:
      return {{"type", "array"},
              {"minItems", key.required ? 1 : 0},
              {"items", table_schema(*table_below(table, key.name), kinds)}};
    default: {
      Json schema = string_schema(pattern_of(value.type));
      if (value.type == ValueType::Duration && value.least > 0)
        schema["not"] = {{"pattern", "^[0.]+(?:ms|s|m|h)$"}};
      return schema;
    }
  }
}

Json in_shape(const Key& key, Json one) {
  Json many{{"type", "array"}, {"minItems", 1}, {"items", one}};
  if (key.value.type == ValueType::Program) {
    many["items"] = Json::array({one});
    many["additionalItems"] = {{"type", "string"}};
  }
  if (key.value.shape == Shape::AnyNumber) many.erase("minItems");
  if (key.name == "client_prefix") many["minItems"] = many["maxItems"] = 2;
  switch (key.value.shape) {
    case Shape::One:
      return one;
    case Shape::List:
      return many;
    default:
      return {{"anyOf", {std::move(one), std::move(many)}}};
  }
}

Json key_schema(const Key& key, const TableKeys& table, const KnownKinds& kinds) {
  Json schema{{"description", key.about}};
  schema.update(in_shape(key, single(key, table, kinds)));
  if (key.standard == kNone) return schema;
  schema["default"] = is_string(key.value.type) ? Json(key.standard) : Json::parse(key.standard);
  return schema;
}

/// A key of one kind of probe is there with that kind only, and what the kind needs is there with it.
void add_probe_rules(const TableKeys& table, Json& schema) {
  for (const Key& key : table.rows) {
    // Of "none" they are without effect elsewhere, which is no fault.
    const auto only = key.probes.kinds();
    if (only.empty() || only.front() == "none") continue;
    Json& needs = schema["dependencies"][std::string(key.name)];
    if (table.over.empty()) needs["required"] = Json::array({"probe"});
    needs["properties"] = {{"probe", one_of_words(only)}};
    Json then{{"required", {key.name}}};
    if (!key.unless.empty()) then = {{"anyOf", {then, {{"required", {key.unless}}}}}};
    if (key.required)
      schema["allOf"].push_back(
          {{"if", {{"required", {"probe"}}, {"properties", {{"probe", {{"const", only.front()}}}}}}},
           {"then", then}});
  }
}

Json table_schema(const TableKeys& table, const KnownKinds& kinds) {
  Json schema{{"description", table.about}, {"type", "object"}, {"additionalProperties", false}};
  Json required = Json::array();
  for (const Key& key : table.rows) {
    schema["properties"][std::string(key.name)] = key_schema(key, table, kinds);
    if (!key.required || !key.probes.all()) continue;
    if (key.unless.empty())
      required.push_back(key.name);
    else
      schema["allOf"].push_back({{"anyOf", {{{"required", {key.name}}}, {{"required", {key.unless}}}}}});
  }
  if (!required.empty()) schema["required"] = std::move(required);
  add_probe_rules(table, schema);
  if (&table == &backend_keys())
    schema["allOf"].push_back({{"if", {{"properties", {{"address", {{"pattern", "^unix:"}}}}}}},
                               {"then", {{"required", {"name"}}}}});
  return schema;
}

}  // namespace

std::string config_schema(const KnownKinds& kinds) {
  Json schema{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", "Weir's configuration"}};
  schema.update(table_schema(root_keys(), kinds));
  return schema.dump(2) + "\n";
}

}  // namespace weir
