/// Every case, in the order of the report. A new one goes into its family's file, or into a new
/// family here.
func allFamilies() -> [Family] {
  [
    dispatchCases(), elementwiseCases(), reductionCases(), productCases(), convolutionCases(),
    modelCases(), decisionCases(), blockCases(), sequenceCases(), firstCallCases(), processCases(),
  ]
}
